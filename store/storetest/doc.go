// Package storetest gives tests a real database: a fresh SQLite file always,
// and a fresh schema on PostgreSQL when HUFU_TEST_PG names a server.
package storetest

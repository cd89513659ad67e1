// Package storetest gives tests a real database: a fresh SQLite file always,
// and a fresh PostgreSQL database when HUFU_TEST_PG names a server.
//
// Migrating from nothing is slow (seconds with the race detector), so the
// first test that asks has a template migrated, and each test gets a copy.
// Templates are named by the digest of the migrations, lie in the user's
// cache folder and on the server, and serve all processes of a run.
// Tests of the migrations themselves (package store, the archives that begin
// with hufu init) start from nothing.
package storetest

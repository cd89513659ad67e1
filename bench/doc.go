// Command bench measures Hufu against something outside that does the same work, in the same run:
//
//	go run ./bench [--only NAME,…] [--rounds N] [--turn 400ms] [--pg DSN] [--json FILE]
//
// One row a workload: our figure, the reference's, their ratio (higher is better, always) and the goal. Figures are
// operations per CPU-second of the process that does them, so that a busy neighbour changes little; ours and the
// reference take turns, and the median of several rounds counts. A reference in C is compiled here, from the file beside
// this one. What cannot be measured on this machine (no openssl, no compiler) is an error, never a row left out; use --only.
//
// The program asserts nothing: met says whether the goal was reached, and the exit code is 0 either way.
package main

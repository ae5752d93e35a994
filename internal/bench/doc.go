// Package bench measures Kaiwa as it runs in production, as processes of its
// own binary, beside baselines on the same Temporal and database in the same
// run: what a bare workflow takes for the same, and a bare INSERT. Its figures
// are held against bars. docs/performance.md tells how and why.
package bench

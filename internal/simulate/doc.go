// Package simulate plays what an office would be like: conversations come,
// are classified, routed and offered to agents by the decisions of package
// routing, which are the product's own, and customers who wait too long give up.
//
// Time is virtual, and everything follows from the seed: the same documents give
// the same report, on every machine. The package does no I/O; what a document
// refers to is read by a function of the caller's.
package simulate

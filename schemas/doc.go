// Package schemas is about the bytes of records: framing, types, and for each
// format a scanner and a splicer. (Specification to be written by its owner.)
package schemas

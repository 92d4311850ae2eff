// Package proof tests properties of the engine as a whole, over randomly drawn
// schemas, wirings, policies, people and records. It has only tests.
//
//   - Noninterference (promise P6): from two records that differ only where a
//     purpose may not look, the purpose gets the same. What it may see, and what is
//     changed in each record, is worked out from the paths of the wiring and the
//     rules of the policy by code of this package, value by value (the product does
//     it position by position of a layout); for each element of a record that is
//     split and for the people whom it is about, and also within texts of JSON.
//     docs/noninterference.md lists what may tell two records apart all the same.
//   - Escape (P1): a canary at any position of any real schema or event never
//     comes out where no rule classifies it.
//   - Reading: what comes out can be read by its derived schema, by others, to the last
//     byte, and that schema has no text of the input's.
//   - Cost (P9): no record of a megabyte takes more than 64 MB or too long.
//
// CONSENTSTREAM_PAIRS is how many pairs of records are compared; the default takes a
// few seconds. CONSENTSTREAM_SEED chooses them: a number, by default always the same,
// or "new" for different ones in each run. A run prints how to repeat it.
package proof

// Package proof holds what is said of the engine as a whole, over drawn schemas,
// wirings, policies, people and records. It has no code of its own.
//
//   - Noninterference (promise P6): of two records that differ only where a
//     purpose may not look, it gets the same. What it may see, and what each record
//     is changed in, is worked out from the paths of the wiring and the rules of
//     the policy by code of this package, by the position of each value and not,
//     as in the product, of each position of a layout; for each element of a
//     record that is split and for the people whom it is about, and also within
//     texts of JSON. docs/noninterference.md lists what may tell two records apart
//     all the same.
//   - Escape (P1): a canary at any position of any real schema or event never
//     comes out where no rule classifies it.
//   - Cost (P9): no record of a megabyte costs more than 64 MB, nor long.
//
// CONSENTSTREAM_PAIRS says how many pairs of records are compared; without it
// there are as many as take a few seconds. CONSENTSTREAM_SEED says which: those of a
// number, by default always the same, or with "new" others in each run. A run says
// how it can be repeated.
package proof

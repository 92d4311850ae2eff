// Package infer proposes categories for the fields of a stream, from the names
// that stand in a schema and from the names and values of sample events. A
// proposal is a guess to be read by a person: nothing here is ever applied, and
// what a stub proposes stands in comments. It is pure and has no state.
//
// # From names
//
// A name is split into words (camelCase, snake_case, other separators, and words
// written together such as firstname), and the words are looked up in a table of
// phrases (table.go), preceded by the words of the members it lies in. The phrase
// that ends last wins, and of several the longest: last_login_ip is an IP address,
// and device.id belongs to a device. A name without any phrase takes the category of
// the member it lies in, if that says something about everything in it: an address
// does, an event or a system does not.
//
// # From values
//
// [Read] takes events one after the other, or one array of events, and keeps of
// each value its JSON type and its shape ([Shape]: e-mail address, card number,
// UUID…), never the value. A shape that four of five texts have is proposed. One that
// certainly names a person (an e-mail address in user_id, or within a query) counts
// more than the field's name, unless the name stands for a special category or for
// what people write; any other shape counts less.
//
// Two things of the events are names in one place and data in another: the names
// of members, and the texts of a member such as key in [{"key": …, "value": …}].
//
//   - A member whose name is data by its looks (an e-mail address, digits, a
//     UUID, anything of more than 64 bytes or that does not print) makes its
//     object a map, as do more than 1000 members, three or more objects that all
//     have the same members, and many members of which each object has few. The
//     names of a map are shown as .*; only what is a name beyond doubt, a word of
//     the table or a member of nine of ten objects, stays one.
//   - Of the texts of key, only those that the table knows word by word are shown.
//     Others are counted.
//
// Every other name of a member is shown: it is taken for a field's name.
//
// Text that is JSON, or base64 of JSON, is looked into, twice at most.
//
// # Bounds
//
// Whatever the input, memory is bounded: an event has at most 16 MiB, 64 levels
// and 100,000 members in one object, else Read fails with its place; of more
// than 10,000 positions the further ones are counted and not listed.
package infer

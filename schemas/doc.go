// Package schemas knows the bytes of records: the frame around them, their types, a
// scanner and a splicer for each format, the schemas of what is written, and the
// registry that keeps schemas. It neither produces nor consumes records, decides
// nothing, and has no clock.
//
// # Model
//
// A [Layout] is an input shape, compiled once: an Avro writer schema
// ([NewAvro]), or the paths that a plain JSON stream's wiring names ([NewJSON]).
// Its positions are its nodes. For each record, Scan walks the bytes once,
// refuses what is not strictly valid, and notes in a [Tape] where the nodes
// lie. For each purpose, a [Projection], compiled once from one [Action] a
// node, writes that purpose's record: Splice copies the spans that are kept and
// writes those that change. A record is never decoded into maps, and in steady
// state neither Scan nor Splice allocates.
//
// Layouts are immutable and safe for concurrent use, projections as far as
// their transforms are; a Tape belongs to one goroutine.
//
// # What holds for both formats
//
// Fail closed. The zero Action drops. A transform that errs, or yields what its
// type does not allow, fails the record ([CodeTreatmentFailed]); dst is returned
// as it was. After a fault, nothing of the Tape is to be had.
//
// Silence. An error is a [*Fault]: a code of a closed set and a path of names
// that stand in a schema or in the wiring. It never holds a value, nor the text
// of another library.
//
// Noninterference. What a projection writes does not depend on a position that
// it does not keep, nor on whether the record holds that position:
//   - [OpNull], [OpConst] and an [OpKeep] or [OpReplace] behind a closed gate
//     write the same whatever the input;
//   - a container reveals something of its contents by being null or absent, by its
//     branch, or by its number of elements. So it follows the input only while
//     something below it is kept or replaced, behind no gate or an open one.
//     Otherwise it is null, if there is a null below it, or else gone, even where
//     it could have held a constant;
//   - elements that [n] or [key=="v"] chooses can be told from the others by what is
//     left of them: a purpose that keeps `params[key=="email"].value` sees which
//     elements are e-mail addresses. In JSON what is written in place of removed
//     values does not tell them apart.
//
// The actions of leaves decide; the action of a container with nodes below it
// does not count in Avro. (In JSON it applies to the members that no longer path
// names.)
//
// Null stays null under OpReplace: transforms are never given a null.
//
// Size. A splice of n bytes that would write more than 4n + 1 MiB fails
// ([CodeTooLarge]): what is written for an element can be longer than the element.
//
// # Frame
//
// An Avro value is framed as the Confluent Schema Registry defines: the byte 0,
// the schema id in 4 bytes, big-endian, then Avro binary ([ParseFrame]). Plain
// JSON has no frame.
//
// # Avro: which schemas
//
// Avro 1.12 ("Schema Declaration", "Names", "Logical Types"). The top level is a
// record. Refused are: JSON with a name twice in one object; more than 10,000
// positions with named types expanded (each 16 symbols or tags count as one more,
// every time they are used); more than 64 levels; unions of more than 127 branches;
// names of more than 512 bytes; paths of more than 8 MiB in all; a text of more than
// 4 MiB; a fixed of size 0; what goavro does not accept as a schema (it is not asked
// about recursion); and what the specification forbids. A logical type on a base
// that it may not have, or a decimal with an impossible precision, is ignored, as
// the specification demands; an unknown one is [UnknownLogical].
//
// Nodes are numbered in the order in which the schema has them, a container before
// what lies in it:
//
//   - every record field ("address.city") and array element ("tags[*]");
//   - of a map, its keys ("utm.*~key"), then its values ("utm.*");
//   - a union of null and one type is that type, nullable; any other union is a
//     node of kind [Union] and has a node for each branch but null. They all have
//     the union's path, so that a rule for it is a rule for each by its own type;
//     members of a record branch lie below that path;
//   - an array's element has one more node for each [n] and [key=="v"] that a path
//     of the wiring has at the array (v is a string or an enum's symbol in a member
//     of the element), and one more if several of these could choose the same
//     element: what they do choose together is Contested and withheld;
//   - what a recursive type holds of itself is one node of kind [Opaque]: its bytes
//     are validated, 64 levels deep at most, and it is always dropped,
//     whatever paths name it.
//
// # Avro: what is accepted
//
// Exactly one value of the schema, with no byte after it. Varints have at most
// 10 bytes and 64 bits, those of an int, a branch number or an enum's index 5 and
// 32, as Java's readers want them; booleans are 0 or 1; branch numbers
// and enum indexes are in range; strings and map keys are UTF-8 (RFC 3629, no
// surrogates); no map has a key twice, because readers would resolve that
// differently; a length is compared with what is left before it is used; a block
// with a byte size has that size. The text of a uuid and the digits of a decimal are
// not looked at.
//
// # Avro: bounds
//
// A record of n bytes may hold n + 1024 array elements and map entries in all. An
// element with more than one position that has no byte of its own (null, record,
// fixed of size 0) counts once for each. So a tape has at most two entries a byte
// and work is proportional to bytes. The scanner recurses over the schema, at most
// 64 levels, and within a recursive type over the input, again at most 64 levels. An
// input beyond 2 GiB is refused.
//
// # Avro: what is derived
//
// A projection's schema says how its records are to be read and nothing else:
// names, types, order of fields, logical types with precision and scale. Docs,
// aliases, custom properties and defaults are gone (a default could bring back
// what was removed), but a nullable field whose first branch is null has the
// default null. The same layout and actions give the same text.
//
//   - A position that can be null by redaction or by a gate is ["null", T]; one
//     that was nullable already keeps the order of its branches.
//   - A replaced position has its Action's Result, and stays nullable.
//   - An array's elements have one type for all variants: what is dropped in one
//     and written in another is null in the first, and two types for one position
//     are an error. An element keeps its place, at least as null.
//   - A map is there while its keys are kept or replaced: without them it is gone,
//     or null, whatever its values become. Replaced keys that are equal fail the
//     record.
//   - A union of several branches has the outcomes of all its branches, in its
//     order, each once; null keeps its place, or else comes first. A branch that
//     is dropped while another is written becomes null. Two outcomes that one union
//     cannot hold are an error; a single outcome is not written as a union.
//   - All named types move to the given namespace and keep their short names. A
//     type that is used again and treated differently there, or another type of
//     the same short name, is named by its path: Address_billing.
//   - An array that is rebuilt is one block without a size; what is wholly kept
//     is copied, blocks and all.
//   - A record of which no field is left has no schema: the projection is Empty.
//
// # JSON
//
// RFC 8259, one object or array per record, or one scalar where the path "" declares
// that. Refused everywhere in a record, even
// where nothing is kept: what the RFC does not allow, what is not UTF-8, lone
// surrogates, two members whose names are equal after unescaping and case
// folding, a scalar at the top level that is not declared, a second document, containers nested more
// than 64 deep. A value of a type that its treatment does not take is removed and
// counted. Nulls and constants come after the other members of their container,
// whether or not the input held them. The names that .* matches are data, as the
// keys of a map are. json.go says which bytes come out, and the other details; the
// path language is that of [Path].
//
// JSON behind the registry's frame ([NewJSONSchema]) is read as plain JSON is, by
// the paths of the wiring. Of what its JSON Schema demands, types alone are looked at,
// and of what keeps its type: a value of a type that is not declared there is removed
// and counted. What is derived ([DeriveJSONSchema]) says which
// members there may be, where and of which types, as far as the input's schema tells,
// and has no other text of the latter.
//
// A text that holds JSON is looked into where the wiring says so ([Nested]);
// every other text is one value.
//
// # Registry
//
// [Registry] fetches writer schemas by id and registers derived ones. Both are
// immutable, so answers are cached until there are 64 MB of them. An outage is
// never cached and wraps [ErrUnavailable]: the caller holds. Only the registry's
// own "not found", three times within 2 s, is [ErrUnknownSchema]: the record is
// quarantined, and the id is not asked for again for 30 s. While four ids are
// known to be unknown, a further one is believed unknown at its first try: a
// batch of garbage names thousands.
package schemas

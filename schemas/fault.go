package schemas

// Code names what is wrong with a record: a closed set of lower-case words,
// safe to log, to use as a metric label and to write to quarantine.
type Code string

// The codes of this package. Add here, never build one from input.
const (
	CodeTruncated       Code = "truncated"
	CodeTrailingBytes   Code = "trailing_bytes"
	CodeBadLength       Code = "bad_length"
	CodeTooManyItems    Code = "too_many_items"
	CodeTooDeep         Code = "too_deep"
	CodeTooLarge        Code = "too_large"
	CodeBadUTF8         Code = "bad_utf8"
	CodeBadVarint       Code = "bad_varint"
	CodeBadBranch       Code = "bad_branch"
	CodeBadEnum         Code = "bad_enum"
	CodeBadBool         Code = "bad_bool"
	CodeBadMagic        Code = "bad_magic"
	CodeEmptyValue      Code = "empty_value"
	CodeUnknownSchema   Code = "unknown_schema"
	CodeBadSchema       Code = "bad_schema" // the writer schema does not parse, or recurses
	CodeSyntax          Code = "syntax"
	CodeDuplicateKey    Code = "duplicate_key"
	CodeLoneSurrogate   Code = "lone_surrogate"
	CodeTopLevelScalar  Code = "top_level_scalar"
	CodeNotScalar       Code = "not_a_scalar"      // where records are declared to be single values
	CodeNotArray        Code = "not_an_array"      // nothing to split the record at, or an element that should be one
	CodeNotObject       Code = "not_an_object"     // an element to be split off that is an array
	CodeTooManyElements Code = "too_many_elements" // to split the record into
	CodeTreatmentFailed Code = "treatment_failed"
	CodePanic           Code = "panic"
	CodeNotEncodable    Code = "not_encodable" // eval: the text is not a value of the writer schema
)

// Fault says why a record cannot be processed. It holds a code and a path of
// rule or schema names, never a value and never another library's text. Path
// elements that stand in no config or schema are "?".
type Fault struct {
	Code Code
	Path string
}

func (f *Fault) Error() string {
	if f.Path == "" {
		return string(f.Code)
	}
	return string(f.Code) + " at " + f.Path
}

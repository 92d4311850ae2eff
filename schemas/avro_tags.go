package schemas

import (
	"fmt"
	"slices"
)

// unreadable stands for a tag that cannot be read: it is not listed, so that the position
// goes by no tag.
const unreadable = "?"

// avroTags are the Confluent field tags of a field or type object.
func avroTags(d map[string]any) []string {
	var out []string
	list, ok := d["confluent:tags"].([]any)
	if !ok && d["confluent:tags"] != nil {
		return []string{unreadable}
	}
	for _, v := range list {
		tag, ok := v.(string)
		if !ok {
			tag = unreadable
		}
		out = append(out, tag)
	}
	return out
}

// tagged is s with the tags of an object around it as well: for the one use that this is.
func (p *avroParser) tagged(s *avroSchema, d map[string]any) (*avroSchema, error) {
	tags := avroTags(d)
	if len(tags) == 0 {
		return s, nil
	}
	if p.count += (len(s.tags) + len(tags)) / avroShare; p.count > maxAvroPositions {
		return nil, fmt.Errorf("more than %d types with their tags", maxAvroPositions)
	}
	t := *s
	t.tags = slices.Concat(s.tags, tags)
	return &t, nil
}

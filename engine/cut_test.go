package engine

import (
	"errors"
	"slices"
	"testing"

	"github.com/consentstream/consentstream/consent"
)

func changed(last ...int64) *consent.Row { return &consent.Row{Last: last} }

// D4 for a record of several subjects: the decisions stand at the fence, or at the
// least of the watermarks; a row that was changed above that does not belong there.
func TestCut(t *testing.T) {
	type read struct {
		row *consent.Row
		v   consent.Vector
	}
	fence := consent.Vector{10, 10}
	for _, c := range []struct {
		name  string
		reads []read
		want  []int64
		ok    bool
	}{
		{"nothing was read", nil, nil, true},
		{"below the fence", []read{{changed(9, -1), consent.Vector{12, 10}}, {changed(3, 9), consent.Vector{11, 10}}}, nil, true},
		{"one above", []read{{changed(10, -1), consent.Vector{12, 13}}, {changed(3), consent.Vector{11, 15}}}, []int64{11, 13}, true},
		{"the other above", []read{{changed(3), consent.Vector{11, 15}}, {changed(10, -1), consent.Vector{12, 13}}}, []int64{11, 13}, true},
		{"a miss counts too", []read{{changed(10), consent.Vector{12, 13}}, {nil, consent.Vector{11, 11}}}, []int64{11, 11}, true},
		{"changed above another's watermark", []read{{changed(11), consent.Vector{12, 13}}, {nil, consent.Vector{11, 11}}}, nil, false},
		{"changed above its own", []read{{changed(12), consent.Vector{12, 13}}}, nil, false},
		{"behind the fence", []read{{nil, consent.Vector{12, 9}}}, nil, false},
		{"of another topic", []read{{nil, consent.Vector{12}}}, nil, false},
	} {
		var u cut
		u.begin(fence)
		ok := true
		for _, r := range c.reads {
			ok = ok && u.add(r.row, r.v)
		}
		got, err := u.end()
		if ok = ok && err == nil; ok != c.ok || ok && !slices.Equal(got, c.want) || err != nil && !errors.Is(err, ErrInconsistentCut) {
			t.Errorf("%s: %v, %v, want %v, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

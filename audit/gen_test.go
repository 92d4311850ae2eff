package audit

import (
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"
)

// sample is a lane's typical leaf: three purposes, two permitted, with its
// context. Its bytes are pinned by TestGolden.
func sample() *Record {
	plan := Hash{0xaa, 1}
	return &Record{
		Lane:  Lane{Cluster: "Nk018hRAQFytWskYqtQduw", Group: "consentstream", TopicID: [16]byte{1, 2, 3, 15: 16}, Topic: "crm.contacts", Partition: 3},
		Index: 300, Prev: Hash{0xee, 31: 0xff}, Kind: LeafRecord, From: 7, Offset: 8,
		Context: &Context{Policy: Hash{1}, Revision: 7, DecidedAt: 1_795_353_600_123, ConsentTopicID: [16]byte{9},
			Fence: []int64{10, 0, 1 << 40}, KeyEpoch: 1, KeyCheck: [8]byte{8, 7, 6, 5, 4, 3, 2, 1}, SignKey: "enforcer-1", Version: "v0.1.0"},
		Cut:      []int64{11, 0, 1 << 40},
		Subjects: []Subject{{Name: "customer", Resolved: true, Tag: [17]byte{0, 5, 16: 6}}},
		Decisions: []Decision{
			{Purpose: "analytics", Permit: true, Reason: "CONSENT_GIVEN", Basis: "consent", HasCited: true, CitedPartition: 1, CitedOffset: 99,
				Plan: plan, Output: &Output{Topic: "crm.contacts.analytics", Partition: 2, Commitment: Hash{0xc0}}},
			{Purpose: "marketing.email", Reason: "WITHDRAWN", Secondary: []string{"CONSENT_EXPIRED"}, Basis: "consent", Plan: plan},
			{Purpose: "service", Permit: true, Reason: "BASIS_CONTRACT", Basis: "contract", Plan: plan, Gates: 1, Withheld: 2,
				Output: &Output{Topic: "crm.contacts.service", Partition: -1, Commitment: Hash{0xc1}}},
		},
	}
}

// reset is a gap leaf as `lane reset` writes it.
func reset() *Record {
	return &Record{Lane: sample().Lane, Kind: LeafGap, From: 5, Offset: 9, Reason: "OPERATOR", Cites: &Hash{0xcc}, Note: "restored from backup"}
}

func drawHash(t *rapid.T, label string) (h Hash) {
	copy(h[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, label))
	return h
}

// drawRecord draws any record that an honest writer could write.
func drawRecord(t *rapid.T) *Record {
	text := func(label string) string { return rapid.StringN(0, 12, 40).Draw(t, label) }
	i32 := func(label string) int32 { return rapid.Int32().Draw(t, label) }
	longs := func(label string) []int64 { return rapid.SliceOfN(rapid.Int64(), 0, 4).Draw(t, label) }
	r := &Record{Index: rapid.Int64Range(0, 1<<62).Draw(t, "index"), Prev: drawHash(t, "prev"),
		Kind: LeafKind(rapid.IntRange(1, 4).Draw(t, "kind")), From: rapid.Int64Range(0, 1<<40).Draw(t, "from"),
		Reason: text("reason"), Detail: text("detail"), Path: text("path"), Note: text("note"), Cut: longs("cut")}
	r.Lane = Lane{Cluster: text("cluster"), Group: text("group"), Topic: text("topic"), Partition: i32("partition") & 0x7fffffff}
	copy(r.Lane.TopicID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "topic id"))
	r.Offset = r.From
	if r.Kind != LeafClosed {
		r.Offset += rapid.Int64Range(0, 1<<40).Draw(t, "skipped")
	}
	if rapid.Bool().Draw(t, "has context") {
		r.Context = &Context{Policy: drawHash(t, "policy"), Regimes: drawHash(t, "regimes"), Revision: rapid.Int64().Draw(t, "revision"),
			DecidedAt: rapid.Int64Range(0, 1<<42).Draw(t, "decided at"), Fence: longs("fence"), KeyEpoch: i32("epoch"), SignKey: text("sign"), Version: text("version")}
	}
	if rapid.Bool().Draw(t, "has cites") {
		h := drawHash(t, "cites")
		r.Cites = &h
	}
	for range rapid.IntRange(0, 3).Draw(t, "subjects") {
		s := Subject{Name: text("subject"), Resolved: rapid.Bool().Draw(t, "resolved")}
		if s.Resolved {
			copy(s.Tag[:], rapid.SliceOfN(rapid.Byte(), 17, 17).Draw(t, "tag"))
		}
		r.Subjects = append(r.Subjects, s)
	}
	if r.Kind != LeafRecord || len(r.Subjects) == 0 {
		return r
	}
	for range rapid.IntRange(0, 4).Draw(t, "decisions") {
		d := Decision{Element: i32("element"), Purpose: text("purpose"), Subject: int32(rapid.IntRange(0, len(r.Subjects)-1).Draw(t, "subject index")),
			Permit: rapid.Bool().Draw(t, "permit"), Reason: text("reason"), Basis: text("basis"), Plan: drawHash(t, "plan"), Gates: i32("gates"), Withheld: i32("withheld")}
		for range rapid.IntRange(0, 2).Draw(t, "secondary") {
			d.Secondary = append(d.Secondary, text("second reason"))
		}
		if d.HasCited = rapid.Bool().Draw(t, "has cited"); d.HasCited {
			d.CitedPartition, d.CitedOffset = i32("cited partition"), rapid.Int64().Draw(t, "cited offset")
		}
		if d.Permit && rapid.Bool().Draw(t, "has output") {
			d.Output = &Output{Topic: text("output topic"), Partition: i32("output partition"), Commitment: drawHash(t, "commitment")}
		}
		r.Decisions = append(r.Decisions, d)
	}
	return r
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

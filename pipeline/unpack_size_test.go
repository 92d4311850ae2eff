package pipeline

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// recordBytes and headerBytes are at least what kgo's types take.
func TestSizesInMemory(t *testing.T) {
	if n := reflect.TypeFor[kgo.Record]().Size() + reflect.TypeFor[*kgo.Record]().Size(); n > recordBytes {
		t.Errorf("a record takes %d bytes", n)
	}
	if n := reflect.TypeFor[kgo.RecordHeader]().Size(); n > headerBytes {
		t.Errorf("a header takes %d bytes", n)
	}
}

// FuzzSizeInMemory: no bytes make it panic, and it never counts less than kgo makes
// of them.
func FuzzSizeInMemory(f *testing.F) {
	f.Add(recordOf(3, []byte("v")))
	f.Add(append(recordOf(0, nil), recordOf(1, []byte("v"))...))
	f.Add(named("a name of some length"))
	f.Add([]byte{0, 1, 2, 0x80})
	f.Fuzz(func(t *testing.T, records []byte) {
		batch := kmsg.RecordBatch{Magic: 2, NumRecords: int32(len(records)), LastOffsetDelta: 1 << 20, Records: records}
		batch.Length = int32(len(batch.AppendTo(nil)) - 12)
		p, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{DisableCRCValidation: true}, &kmsg.FetchResponseTopicPartition{RecordBatches: batch.AppendTo(nil)}, kgo.DefaultDecompressor(), nil)
		least := len(records)
		for _, r := range p.Records {
			least += recordBytes + headerBytes*len(r.Headers)
			for _, h := range r.Headers {
				least += len(h.Key) // a copy
			}
		}
		if n := sizeInMemory(records); n < least {
			t.Errorf("%d bytes for %d records that take %d", n, len(p.Records), least)
		}
	})
}

func BenchmarkSizeInMemory(b *testing.B) {
	records := bytes.Repeat(recordOf(2, make([]byte, 480)), 1000)
	b.ReportAllocs()
	for b.Loop() {
		sizeInMemory(records)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/record")
}

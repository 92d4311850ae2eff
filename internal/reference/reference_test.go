package reference

import "testing"

// The vectors of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
func TestPartition(t *testing.T) {
	for key, hash := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got, want := Partition([]byte(key), 1<<31-1), (hash&0x7fffffff)%(1<<31-1); got != want {
			t.Errorf("%s: %d, want %d", key, got, want)
		}
	}
}

// Command bench measures records per second, client CPU and allocations per
// record, and peak memory of two jobs over the same input, and prints their
// ratio:
//
//   - floor: a transactional copy that writes what consentstream must write (the
//     same record counts on three purpose topics and the audit topic; on a real
//     broker the very records that the product wrote, else prefixes of the input of
//     about the same sizes) and looks up and decides nothing. No program that keeps
//     the promises over Kafka can be faster;
//   - product: the pipeline of `consentstream run`, everything on: fence, Redis
//     look-ups, three purposes, audit chain and commitments. It runs first, and the
//     floor writes the counts and records that it was seen to write.
//
// With CONSENTSTREAM_KAFKA set (internal/servers/servers.sh) it runs against
// that broker, and CPU is the client's alone. Without, each run has kfake in its
// own process: CPU, allocations and memory then INCLUDE the broker and are no
// measure of the client; only the ratio means something.
//
// Each run is a process of its own, so that CPU and peak memory are its own. The time
// measured is from the first committed offset to the last, as an observer of the
// group's committed offsets sees it, in the same way for both jobs: start-up,
// joining the group and projecting consents do not count.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	records, partitions, repeat int
	formats, codecs, jobs       []string
	workers                     []int
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "-child" {
		return child(ctx, []byte(args[1]))
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	b, err := openBroker(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	t := newTable(os.Stdout, b.address == "")
	for range o.repeat {
		for _, s := range o.specs(b) {
			s.Shape, s.Audited = b.shapes[s.Format], b.audits[s.Format]
			r, err := measure(ctx, s)
			if err != nil {
				return fmt.Errorf("%s %s %s, %d workers: %w", s.Job, s.Format, s.Codec, s.Workers, err)
			}
			if r.Records == 0 || r.Seconds == 0 {
				return fmt.Errorf("%s %s: all records were committed at once, so there is nothing to measure: -records %d is too few", s.Job, s.Format, o.records)
			}
			b.learn(s, r)
			t.add(s, r)
		}
	}
	t.summary()
	return nil
}

func parse(args []string) (o options, err error) {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.IntVar(&o.records, "records", 0, "input records per format (0: 500,000 on a real broker, 100,000 in process)")
	fs.IntVar(&o.partitions, "partitions", 4, "partitions of every topic")
	fs.IntVar(&o.repeat, "repeat", 1, "how often everything is measured")
	formats := fs.String("formats", "avro,json", "comma-separated: avro, json")
	codecs := fs.String("codecs", "lz4,snappy,none", "comma-separated: none, lz4, snappy, zstd")
	jobs := fs.String("jobs", strings.Join(jobNames(), ","), "comma-separated: product, floor")
	workers := fs.String("workers", "1,2", "comma-separated numbers of workers")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.formats, o.codecs, o.jobs = strings.Split(*formats, ","), strings.Split(*codecs, ","), strings.Split(*jobs, ",")
	for _, w := range strings.Split(*workers, ",") {
		n, err := strconv.Atoi(w)
		if err != nil || n < 1 {
			return o, fmt.Errorf("-workers %q: not a number of workers", w)
		}
		o.workers = append(o.workers, n)
	}
	return o, o.check()
}

func (o *options) check() error {
	for _, j := range o.jobs {
		if jobs[j] == nil {
			return fmt.Errorf("-jobs %q: there are %s", j, strings.Join(jobNames(), ", "))
		}
	}
	for _, c := range o.codecs {
		if _, ok := codecs[c]; !ok {
			return fmt.Errorf("-codecs %q: there are none, lz4, snappy, zstd", c)
		}
	}
	for _, f := range o.formats {
		if f != "avro" && f != "json" {
			return fmt.Errorf("-formats %q: there are avro, json", f)
		}
	}
	if o.records == 0 {
		o.records = 100_000
		if os.Getenv("CONSENTSTREAM_KAFKA") != "" {
			o.records = 500_000
		}
	}
	if o.partitions < 1 || o.records < 1 || o.repeat < 1 {
		return fmt.Errorf("-partitions, -records and -repeat are at least 1")
	}
	return nil
}

// specs lists the runs. The product comes before the floor, which writes what
// the product was seen to write.
func (o *options) specs(b *broker) []*spec {
	var all []*spec
	for _, format := range o.formats {
		for _, codec := range o.codecs {
			for _, workers := range o.workers {
				for _, job := range o.jobs {
					all = append(all, &spec{
						Job: job, Format: format, Codec: codec, Workers: workers,
						Records: o.records, Partitions: o.partitions,
						Broker: b.address, Registry: b.registry, Redis: b.redis, Prefix: b.prefix, Load: b.load,
					})
				}
			}
		}
	}
	return all
}

// measure runs one spec in a process of its own.
func measure(ctx context.Context, s *spec) (*result, error) {
	s.Group = fmt.Sprintf("%s.%s.%d", s.Prefix, s.Job, time.Now().UnixNano())
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-child", string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var r result
	return &r, json.Unmarshal(out, &r)
}

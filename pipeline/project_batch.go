package pipeline

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/consent/redisstore"
)

// run projects batch after batch.
func (pr *projection) run(ctx context.Context, asker *kgo.Client) error {
	// Buckets that are not there, or behind the others, are brought to the same
	// watermark first; so they exist even if there is never an event.
	if err := pr.write(ctx, nil, pr.next); err != nil {
		return err
	}
	looked := time.Now()
	for {
		records, err := pr.gather(ctx)
		if err != nil {
			return err
		}
		if len(records) > 0 {
			if err := pr.take(ctx, records); err != nil {
				return err
			}
			pr.pace.reset()
		}
		if time.Since(looked) < pr.cfg.Upkeep {
			continue
		}
		looked = time.Now()
		if err := pr.upkeep(ctx, asker); err != nil {
			return err
		}
	}
}

// gather polls until BatchRecords or, from the first record on, BatchWait; it
// comes back empty when it is time for upkeep.
func (pr *projection) gather(ctx context.Context) ([]*kgo.Record, error) {
	records, err := pr.poll(ctx, pr.cfg.Upkeep, pr.cfg.BatchRecords)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	for until := time.Now().Add(pr.cfg.BatchWait); len(records) < pr.cfg.BatchRecords; {
		left := time.Until(until)
		if left <= 0 {
			break
		}
		more, err := pr.poll(ctx, left, pr.cfg.BatchRecords-len(records))
		if err != nil {
			return nil, err
		}
		records = append(records, more...)
	}
	return records, nil
}

func (pr *projection) poll(ctx context.Context, wait time.Duration, limit int) ([]*kgo.Record, error) {
	timed, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	fetches := pr.cl.PollRecords(timed, limit)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	// Records that come along with an error are dropped: the next projection
	// reads them again.
	for _, e := range fetches.Errors() {
		if !errors.Is(e.Err, context.DeadlineExceeded) && !errors.Is(e.Err, errFetchFull) {
			return nil, pr.pollError(e)
		}
	}
	return fetches.Records(), nil
}

// upkeep looks whether store and topic are still what they were. While events
// flow every write tells; without events nothing else would notice that the
// store was emptied, and every reader would hold for ever.
func (pr *projection) upkeep(ctx context.Context, asker *kgo.Client) error {
	info, err := pr.sameTopic(ctx, asker)
	if err != nil {
		return err
	}
	if ends, err := listOffsets(ctx, asker, pr.cfg.Topic, info, listEnd, false); err == nil {
		pr.status.ended(ends) // for people only: how far we are behind
	}
	if err := pr.sameMarks(ctx); err != nil {
		return err
	}
	pr.status.written(pr.next, projected{})
	return nil
}

// sameMarks compares the store's watermarks with those that we wrote last.
func (pr *projection) sameMarks(ctx context.Context) error {
	now := pr.cfg.Store.AllPages()
	if err := pr.cfg.Store.Load(ctx, now); err != nil {
		return err
	}
	for b, page := range now {
		if page.Err != nil || !slices.Equal(page.Mark.Next, pr.pages[b].Mark.Next) || page.Mark.Rows != pr.pages[b].Mark.Rows {
			return errReread
		}
	}
	return nil
}

// happening is one event and where a row of it lies.
type happening struct {
	bucket int
	tag    consent.Tag
	event  *consent.Event
}

// part is what one write takes in: a batch, or some of its records.
type part struct {
	records   int
	next      consent.Vector
	events    []happening
	malformed []MalformedConsent
	counted   projected
}

// take folds one batch of records into the store, in parts where events that name
// many people make it many rows: a write that is too large would never get done.
func (pr *projection) take(ctx context.Context, records []*kgo.Record) error {
	for len(records) > 0 {
		p, err := pr.part(records)
		if err != nil {
			return err
		}
		if err := pr.quarantine(ctx, p.malformed); err != nil {
			return err
		}
		if err := pr.write(ctx, p.events, p.next); err != nil {
			return err
		}
		pr.next, records = p.next, records[p.records:]
		pr.status.written(pr.next, p.counted)
	}
	return nil
}

// part reads records until all are read or they are for BatchRecords rows.
func (pr *projection) part(records []*kgo.Record) (*part, error) {
	p := &part{next: slices.Clone(pr.next)}
	for _, r := range records {
		if len(p.events) >= pr.cfg.BatchRecords {
			break
		}
		if r.Partition < 0 || int(r.Partition) >= len(p.next) || r.Offset < p.next[r.Partition] {
			return nil, kafkaHold(HoldKafka, errors.New("records out of order"))
		}
		p.records++
		// Control records and gaps move the position as well: what is missing
		// was aborted, and will never be there.
		p.next[r.Partition] = r.Offset + 1
		if !r.Attrs.IsControl() {
			pr.add(p, r)
		}
	}
	return p, nil
}

func (pr *projection) add(p *part, r *kgo.Record) {
	e, tags, all := pr.read(r)
	if e.Malformed != consent.NoFault {
		p.malformed = append(p.malformed, MalformedConsent{r, e.Malformed})
		p.counted.malformed++
	}
	if !all {
		p.counted.unattributed++
	}
	if len(tags) > 0 {
		p.counted.events++
	}
	for _, tag := range tags {
		p.events = append(p.events, happening{pr.cfg.Store.Bucket(&tag), tag, e})
	}
}

func (pr *projection) quarantine(ctx context.Context, malformed []MalformedConsent) error {
	if pr.cfg.Quarantine == nil || len(malformed) == 0 {
		return nil
	}
	err := pr.cfg.Quarantine.QuarantineConsent(ctx, malformed)
	var h *Hold
	if err != nil && !errors.As(err, &h) {
		return kafkaHold(HoldProduce, err)
	}
	return err
}

// faultNoKey is the reason of an event whose namespace has no tag key. Parse
// refuses undeclared namespaces, so this is a wrong wiring, not a wrong event.
const faultNoKey = consent.Fault("namespace_without_key")

// read parses a record and gives the tags of the rows that it is folded into: one,
// or those of everybody whom a malformed event names. It denies by them until it is
// superseded (DECISION D14). Where not all of these rows are known, all that can be
// done besides is to set the record aside and raise alarm.
func (pr *projection) read(r *kgo.Record) (e *consent.Event, tags []consent.Tag, all bool) {
	// LogAppendTime: the broker's receipt (DECISION D2).
	ev := consent.Parse(r.Key, r.Value, consent.Position{Partition: r.Partition, Offset: r.Offset}, r.Timestamp.UnixMilli(), pr.cfg.Namespaces)
	all = ev.Malformed != consent.FaultUnsearched
	for id := range ev.Subjects {
		tag, ok := pr.tagger.TagOf(id)
		if ok {
			tags = append(tags, tag)
		}
		all = all && ok
	}
	all = all && len(tags) > 0
	if !all && ev.Malformed == consent.NoFault {
		ev.Malformed = faultNoKey
	}
	if ev.Malformed != consent.NoFault {
		pr.logMalformed(&ev, len(tags), all)
	}
	return &ev, tags, all
}

func (pr *projection) logMalformed(e *consent.Event, denied int, all bool) {
	line := pr.malformed.Warn()
	if !all {
		line = pr.malformed.Error()
	}
	line.Int32("partition", e.At.Partition).Int64("offset", e.At.Offset).Str("reason", string(e.Malformed)).
		Int("subjects_denied", denied).Bool("subjects_known", all).Msg("malformed consent event")
}

// write folds events into their rows and moves every bucket's watermark to
// next. The events must be all those in [pr.next, next).
func (pr *projection) write(ctx context.Context, events []happening, next consent.Vector) error {
	touched := pr.pagesOf(events)
	if len(touched) > 0 {
		if err := pr.cfg.Store.Load(ctx, touched); err != nil {
			return err
		}
	}
	for _, page := range touched {
		if page.Err != nil {
			if err := pr.mend(ctx, page); err != nil {
				return err
			}
			return errReread // its events below pr.next are needed again
		}
		pr.pages[page.Bucket] = page
	}
	var todo []*redisstore.Page
	for _, page := range pr.pages {
		needed, err := pr.advance(page, next)
		if err != nil {
			return err
		}
		if needed {
			todo = append(todo, page)
		} else {
			pr.keepMark(page)
		}
	}
	pr.fold(events, todo)
	if err := pr.cfg.Store.Apply(ctx, todo); err != nil {
		return err
	}
	return pr.settle(todo)
}

// pagesOf makes a page for every bucket with events, each tag once.
func (pr *projection) pagesOf(events []happening) []*redisstore.Page {
	byBucket := make(map[int]*redisstore.Page)
	seen := make(map[consent.Tag]bool, len(events))
	var pages []*redisstore.Page
	for i := range events {
		e := &events[i]
		page := byBucket[e.bucket]
		if page == nil {
			page = &redisstore.Page{Bucket: e.bucket}
			byBucket[e.bucket] = page
			pages = append(pages, page)
		}
		if !seen[e.tag] {
			seen[e.tag] = true
			page.Tags = append(page.Tags, e.tag)
		}
	}
	return pages
}

// advance sets what a page's watermark becomes and tells whether it has to be
// written at all: not where another projector has been further already. A
// bucket that fell behind what was read (flushed, restored) has missed events.
func (pr *projection) advance(page *redisstore.Page, next consent.Vector) (needed bool, _ error) {
	have := page.Mark.Next
	if !page.Mark.Exists() {
		have = make(consent.Vector, len(next))
		needed = true
	}
	if !have.Covers(pr.next) {
		return false, errReread
	}
	page.Next = slices.Clone(next)
	for part := range have {
		page.Next[part] = max(next[part], have[part])
	}
	return needed || !slices.Equal(page.Next, page.Mark.Next), nil
}

// fold folds each event into its row, where the bucket has to be written. A row
// that has an event already does not change by it: the fold is a join. So
// nothing depends on which bucket is how far ahead.
func (pr *projection) fold(events []happening, pages []*redisstore.Page) {
	rows := make(map[consent.Tag]**consent.Row, len(events))
	for _, page := range pages {
		for i := range page.Tags {
			rows[page.Tags[i]] = &page.Rows[i]
		}
	}
	for i := range events {
		row := rows[events[i].tag]
		if row == nil {
			continue
		}
		if *row == nil {
			*row = consent.NewRow()
		}
		held := !(*row).Overflown()
		if (*row).Fold(events[i].event); held && (*row).Overflown() {
			at := events[i].event.At
			pr.cfg.Log.Error().Int32("partition", at.Partition).Int64("offset", at.Offset).
				Msg("consent event does not fit into its person's state, which denies for good from now on")
		}
	}
}

// settle looks at the outcome of each page. Only marks are kept: rows are read
// fresh for every batch.
func (pr *projection) settle(pages []*redisstore.Page) error {
	for _, page := range pages {
		if page.Err != nil {
			return pageError(page)
		}
		pr.keepMark(page)
	}
	return nil
}

func (pr *projection) keepMark(page *redisstore.Page) {
	pr.pages[page.Bucket] = &redisstore.Page{Bucket: page.Bucket, Mark: page.Mark}
}

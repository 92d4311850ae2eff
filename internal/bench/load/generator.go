package load

import "strconv"

// Config says what is generated. The zero Config is 50,000 subjects of seed 0.
type Config struct {
	Seed     uint64
	Subjects int // distinct people; 0: 50,000
	// SchemaID goes into the frame of an Avro record (magic byte 0, four bytes
	// big endian).
	SchemaID uint32
	// Now is the Unix time in ms that event times lie shortly before. Event
	// times are a function of it, so give it the same value for the same bytes.
	Now int64
}

// Generator makes events. It is not safe for concurrent use.
type Generator struct {
	cfg Config
	rng splitmix
}

// New returns a Generator.
func New(cfg Config) *Generator {
	if cfg.Subjects <= 0 {
		cfg.Subjects = 50_000
	}
	return &Generator{cfg: cfg}
}

// Subjects is the number of distinct people.
func (g *Generator) Subjects() int { return g.cfg.Subjects }

// event restarts the random numbers for event i and draws its subject.
func (g *Generator) event(kind uint64, i int) (subject int) {
	g.rng = splitmix(g.cfg.Seed ^ kind<<56 ^ uint64(i)*0x9E3779B97F4A7C15)
	g.rng.next()
	return g.rng.below(g.cfg.Subjects)
}

// AppendSubject appends the identifier (namespace crm) of subject s.
func AppendSubject(dst []byte, s int) []byte {
	dst = append(dst, 'C')
	return strconv.AppendInt(dst, int64(1_000_000+s), 10)
}

// person are the stable traits of a subject.
type person struct {
	first, last, domain, language, street, city, postal, country string
	number                                                       int
}

func (g *Generator) person(s int) person {
	r := splitmix(g.cfg.Seed ^ uint64(s)*0xD1B54A32D192ED03)
	place := places[r.below(len(places))]
	return person{
		first: firstNames[r.below(len(firstNames))], last: lastNames[r.below(len(lastNames))],
		domain: domains[r.below(len(domains))], street: streets[r.below(len(streets))],
		city: place.city, postal: place.postal, country: place.country, language: place.language,
		number: r.below(200) + 1,
	}
}

func (p person) appendEmail(dst []byte, s int) []byte {
	dst = append(dst, p.first...)
	dst = append(dst, '.')
	dst = append(dst, p.last...)
	dst = strconv.AppendInt(dst, int64(s), 10)
	dst = append(dst, '@')
	return append(dst, p.domain...)
}

// splitmix is SplitMix64 (Steele, Lea, Flood 2014): one add and three
// multiplications a number, so that generating is never what is measured.
type splitmix uint64

func (s *splitmix) next() uint64 {
	*s += 0x9E3779B97F4A7C15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// below draws from [0, n); n is small, so the bias does not matter.
func (s *splitmix) below(n int) int { return int(s.next() >> 1 % uint64(n)) }

func (s *splitmix) appendUUID(dst []byte) []byte {
	const digits = "0123456789abcdef"
	hi, lo := s.next(), s.next()
	hi = hi&^0xF000 | 0x4000       // version 4
	lo = lo&^(0xC0<<56) | 0x80<<56 // RFC 9562 variant
	for i, v := range [2]uint64{hi, lo} {
		for n := range 16 {
			if i == 0 && (n == 8 || n == 12) || i == 1 && (n == 0 || n == 4) {
				dst = append(dst, '-')
			}
			dst = append(dst, digits[v>>(60-4*n)&0xF])
		}
	}
	return dst
}

func (s *splitmix) appendIP(dst []byte) []byte {
	v := s.next()
	for i := range 4 {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = strconv.AppendUint(dst, v>>(8*i)&0xFF, 10)
	}
	return dst
}

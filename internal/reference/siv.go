package reference

import (
	"crypto/aes"
	"crypto/cipher"
)

// sealSIV is RFC 5297's AES-SIV, deterministic, with one associated string: the
// synthetic IV (16 bytes) and what is encrypted under it.
func sealSIV(key, data, plain []byte) []byte {
	half := len(key) / 2
	iv := s2v(key[:half], data, plain)
	counter := append([]byte(nil), iv...)
	counter[8] &= 0x7f // section 2.5: so that 32-bit counters agree
	counter[12] &= 0x7f
	out := make([]byte, len(plain))
	cipher.NewCTR(block(key[half:]), counter).XORKeyStream(out, plain)
	return append(iv, out...)
}

// s2v is section 2.4 for one associated string and the plaintext.
func s2v(key, data, plain []byte) []byte {
	d := cmac(key, make([]byte, 16))
	d = xor(double(d), cmac(key, data))
	if len(plain) < 16 {
		return cmac(key, xor(double(d), pad(plain)))
	}
	t := append([]byte(nil), plain...)
	end := t[len(t)-16:]
	copy(end, xor(end, d))
	return cmac(key, t)
}

// cmac is RFC 4493's, for AES with any key size.
func cmac(key, message []byte) []byte {
	b := block(key)
	k1 := make([]byte, 16)
	b.Encrypt(k1, k1)
	k1 = double(k1)
	x := make([]byte, 16)
	for len(message) > 16 {
		b.Encrypt(x, xor(x, message[:16]))
		message = message[16:]
	}
	last := xor(message, k1)
	if len(message) < 16 {
		last = xor(pad(message), double(k1))
	}
	b.Encrypt(x, xor(x, last))
	return x
}

func block(key []byte) cipher.Block {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the keys of Keys are of 32 bytes
	}
	return b
}

// double multiplies by x in GF(2^128).
func double(in []byte) []byte {
	out := make([]byte, 16)
	for i := range out {
		out[i] = in[i] << 1
		if i < 15 {
			out[i] |= in[i+1] >> 7
		}
	}
	if in[0]&0x80 != 0 {
		out[15] ^= 0x87
	}
	return out
}

func pad(short []byte) []byte {
	out := make([]byte, 16)
	out[copy(out, short)] = 0x80
	return out
}

// xor is of the length of the shorter.
func xor(a, b []byte) []byte {
	out := make([]byte, min(len(a), len(b)))
	for i := range out {
		out[i] = a[i] ^ b[i]
	}
	return out
}

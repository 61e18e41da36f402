package workload

import (
	"math"
	"math/rand/v2"
)

// maxSkew is where Zipf's law has become a constant: the second goods is
// wanted once in a thousand orders.
const maxSkew = 10

// zipf chooses one of n goods, the k-th with a probability proportional to
// 1/k^s. The generator of math/rand/v2 wants s > 1 and takes a logarithm for
// each number; most shops are measured at s a little under one. This is
// Walker's alias method: one random number and one look at a table.
type zipf struct {
	keep  []float64 // probability that column i means i
	alias []int32   // what it means otherwise
}

func newZipf(n int, s float64) *zipf {
	weights := make([]float64, n)
	sum := 0.0
	for k := range weights {
		weights[k] = math.Pow(float64(k+1), -s)
		sum += weights[k]
	}
	z := &zipf{keep: weights, alias: make([]int32, n)}
	var small, large []int32
	for k := range weights {
		weights[k] *= float64(n) / sum
		if weights[k] < 1 {
			small = append(small, int32(k))
		} else {
			large = append(large, int32(k))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		poor, rich := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		z.alias[poor] = rich
		weights[rich] -= 1 - weights[poor]
		if weights[rich] < 1 {
			large = large[:len(large)-1]
			small = append(small, rich)
		}
	}
	// What is left over is full up to rounding.
	for _, k := range append(small, large...) {
		weights[k] = 1
	}
	return z
}

// draw chooses a goods, counted from zero.
func (z *zipf) draw(r *rand.Rand) int {
	column := r.IntN(len(z.keep))
	if r.Float64() < z.keep[column] {
		return column
	}
	return int(z.alias[column])
}

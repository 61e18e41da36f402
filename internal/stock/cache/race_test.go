//go:build race

package cache_test

// slowdown is by how much the race detector makes storms slower.
const slowdown = 10

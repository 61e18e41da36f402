package lock

import (
	"context"
	"crypto/sha1"
	"encoding/hex"

	"github.com/redis/go-redis/v9"
)

// The scripts work through their keys in chunks: unpack puts its values on the
// Lua stack, which ends at 8,000, and one command over a chunk is far cheaper
// than one command for each key.

// acquireSource sets every key to ARGV[1] for ARGV[2] milliseconds if none of
// them exists and answers 0; otherwise it changes nothing and answers the
// position of the first key that exists, counted from one.
const acquireSource = `
local n = #KEYS
for first = 1, n, 500 do
  local last = math.min(first + 499, n)
  if redis.call('EXISTS', unpack(KEYS, first, last)) > 0 then
    for i = first, last do
      if redis.call('EXISTS', KEYS[i]) == 1 then return i end
    end
  end
end
for i = 1, n do
  redis.call('SET', KEYS[i], ARGV[1], 'PX', ARGV[2])
end
return 0`

// extendSource lets every key expire in ARGV[2] milliseconds and answers 1 if
// all of them hold ARGV[1]; otherwise it changes nothing and answers 0.
const extendSource = `
local n = #KEYS
for first = 1, n, 500 do
  local last = math.min(first + 499, n)
  local values = redis.call('MGET', unpack(KEYS, first, last))
  for i = 1, last - first + 1 do
    if values[i] ~= ARGV[1] then return 0 end
  end
end
for i = 1, n do
  redis.call('PEXPIRE', KEYS[i], ARGV[2])
end
return 1`

// releaseSource deletes the keys that hold ARGV[1] and no others. It answers 1
// if that were all of them, 0 if some were held by another, and otherwise -1:
// some had expired.
const releaseSource = `
local n = #KEYS
local answer = 1
for first = 1, n, 500 do
  local last = math.min(first + 499, n)
  local values = redis.call('MGET', unpack(KEYS, first, last))
  local ours = {}
  for i = 1, last - first + 1 do
    if values[i] == ARGV[1] then
      ours[#ours + 1] = KEYS[first + i - 1]
    elseif values[i] then
      answer = 0
    elseif answer == 1 then
      answer = -1
    end
  end
  if #ours > 0 then redis.call('DEL', unpack(ours)) end
end
return answer`

// acquired is the answer of acquireSource when the set was acquired. The answers
// of the other two are those that redsync's own scripts give.
const acquired int64 = 0

// script is a Lua script and its digest, boxed once for use as arguments.
type script struct {
	source, digest any
}

func newScript(source string) *script {
	sum := sha1.Sum([]byte(source))
	return &script{source: source, digest: hex.EncodeToString(sum[:])}
}

// scripts are the three operations on a set.
type scripts struct {
	acquire, extend, release *script
}

func newScripts() scripts {
	return scripts{acquire: newScript(acquireSource), extend: newScript(extendSource), release: newScript(releaseSource)}
}

// call is the argument list of a script over one set of keys, written once and
// used again for each operation on the set, by one goroutine at a time.
type call []any

// firstKey is where the keys begin, after the command, the script and the
// number of keys.
const firstKey = 3

// mostArgs is how many arguments a script takes at most beside its keys.
const mostArgs = 2

// newCall prepares a call over keys. It passes pointers to the keys: boxing
// them would allocate once for each.
func newCall(keys []string) call {
	c := make(call, firstKey, firstKey+len(keys)+mostArgs)
	c[2] = len(keys)
	for i := range keys {
		c = append(c, &keys[i])
	}
	return c
}

// run runs s by its digest, and by its source where the server does not know it
// (the first time, and after a restart or SCRIPT FLUSH).
func (c call) run(ctx context.Context, client redis.UniversalClient, s *script, args ...any) (int64, error) {
	full := c[:len(c)+copy(c[len(c):cap(c)], args)] // newCall left room for them
	full[0], full[1] = "evalsha", s.digest
	answer, err := client.Do(ctx, full...).Int64()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		full[0], full[1] = "eval", s.source
		answer, err = client.Do(ctx, full...).Int64()
	}
	return answer, err
}

package redis

import "github.com/redis/go-redis/v9"

// The scripts take numbers for numbers only where they fit a double: versions,
// times and ages. What is available is text to them.

// clock answers Redis' time in microseconds as now. The version of what is not an
// entry is below all others.
const clock = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local function version(text)
  return tonumber(string.match(text, '^(%d+) %-?%d+ %-?%d+ %-?%d+ %d+ %d+$') or -1)
end
local function write(key, i, cost)
  local keep = tonumber(ARGV[i + 5])
  if keep < 1 then return end
  redis.call('SET', key, ARGV[i] .. ' ' .. ARGV[i + 1] .. ' ' .. string.format('%.0f', now - ARGV[i + 2])
    .. ' ' .. ARGV[i + 3] .. ' ' .. cost, 'PX', keep)
end
`

// beginSource answers the time, and for each goods its entry, '!' and for how
// many more milliseconds it is taken for unknown, or nothing; where there is
// nothing, another's token, or what is not an entry, it leaves the token. KEYS are the goods' and the
// unknown ones', ARGV the token, its life, and the goods.
const beginSource = clock + `
local n = #KEYS - 1
local texts = redis.call('MGET', unpack(KEYS, 1, n))
local tills = redis.call('ZMSCORE', KEYS[n + 1], unpack(ARGV, 3))
local out = {string.format('%.0f', now)}
for i = 1, n do
  local text, till = texts[i], tills[i]
  if not text or string.byte(text) == 63 or version(text) < 0 then
    text = false
    if till and tonumber(till) > now / 1000 then
      text = '!' .. string.format('%.0f', till - now / 1000)
    else
      redis.call('SET', KEYS[i], '?' .. ARGV[1], 'PX', ARGV[2])
    end
  end
  out[i + 1] = text
end
return out`

// fillSource writes each entry where the token or an entry of no higher version
// stands, and answers the time and the entries of higher versions. Version 0 is
// an unknown goods. KEYS as above, ARGV the token, for how long unknown goods are
// remembered, how many of them, and six values and the goods for each key.
const fillSource = clock + `
local n, most = #KEYS - 1, tonumber(ARGV[3])
local texts = redis.call('MGET', unpack(KEYS, 1, n))
local till = string.format('%.0f', now / 1000 + ARGV[2])
local unknown, added = {}, {}
local out = {string.format('%.0f', now)}
for i = 1, n do
  local a = 4 + (i - 1) * 7
  local text = texts[i]
  out[i + 1] = false
  if text == '?' .. ARGV[1] and ARGV[a] == '0' then
    unknown[#unknown + 1] = KEYS[i]
    if #unknown <= most then
      added[#added + 1] = till
      added[#added + 1] = ARGV[a + 6]
    end
  elseif text == '?' .. ARGV[1] then
    write(KEYS[i], a, ARGV[a + 4])
  elseif text and string.byte(text) ~= 63 then
    if version(text) <= tonumber(ARGV[a]) then
      write(KEYS[i], a, ARGV[a + 4])
    else
      out[i + 1] = text
    end
  end
end
if #unknown > 0 then
  local set = KEYS[n + 1]
  redis.call('DEL', unpack(unknown))
  redis.call('ZREMRANGEBYSCORE', set, '-inf', string.format('%.0f', now / 1000))
  local over = redis.call('ZCARD', set) + #added / 2 - most
  if over > 0 then redis.call('ZPOPMIN', set, over) end
  redis.call('ZADD', set, unpack(added))
  redis.call('PEXPIRE', set, ARGV[2])
end
return out`

// refreshSource writes each level over what there is, unless that is of a higher
// version; version 0 drops it. An entry keeps its cost. KEYS are the goods',
// ARGV six values for each.
const refreshSource = clock + `
local texts = redis.call('MGET', unpack(KEYS))
for i = 1, #KEYS do
  local text, a = texts[i], 1 + (i - 1) * 6
  if text then
    if ARGV[a] == '0' then
      redis.call('DEL', KEYS[i])
    elseif string.byte(text) == 63 then
      write(KEYS[i], a, ARGV[a + 4])
    elseif version(text) <= tonumber(ARGV[a]) then
      write(KEYS[i], a, version(text) < 0 and ARGV[a + 4] or string.match(text, '%d+$'))
    end
  end
end
return #KEYS`

// scripts are the operations that compare before they write.
type scripts struct{ begin, fill, refresh *redis.Script }

func newScripts() scripts {
	return scripts{
		begin: redis.NewScript(beginSource), fill: redis.NewScript(fillSource), refresh: redis.NewScript(refreshSource),
	}
}

-- The beginning of both scripts.

local call, try, floor, format, tonumber = redis.call, redis.pcall, math.floor, string.format, tonumber

-- Read once: before Redis 7.2, time passes while a script runs.
local time = call('TIME')
local NOW = time[1] * 1000000 + time[2]
-- Lua would print 1.79e+15, and Redis needs all digits. (`%d` takes any number that a long holds, and is faster than `%.0f`.)
local NOW_TEXT = format('%d', NOW)

-- Sorted set: one member for each unit. The score is the time; the member is the time and a number of three digits, which goes
-- up by one with each unit and starts again after the last. So the first and the last member that count tell how many units
-- count, and a unit takes the memory of two integers. Units of one moment are ordered by their numbers, so the numbers must
-- not start again among them. The last member, with the score infinity, is the window under which the units were charged;
-- units of another window need a log.
local FIRST, LAST = 100, 999
local NUMBERS = LAST - FIRST + 1
-- Redis keeps a sorted set compact up to one member more than this. Once it was larger, it never becomes compact again.
local COMPACT = 127

-- Log: a string, which consists of
--   * a word, EXACT or MERGED;
--   * the horizon: the longest window under which units were charged; until when that window counts (0: as long as the newest
--     unit); and the longest window under which units were charged since then;
--   * a total: how many units there were before the first entry;
--   * the entries, the oldest first. In an exact log, an entry is the time of one unit. In a merged log, it is the time of its
--     first unit, how much later its latest unit was charged, and the total up to and including it.
-- Totals start again at 2^48.
local EXACT, MERGED, HORIZON, TOTAL, STAMP, ENTRY = 'rg2e', 'rg2m', '>I6I7I6', '>I6', '>I7', '>I7I5I6'
local HEAD, STAMP_SIZE, ENTRY_SIZE, TOTALS = 29, 7, 18, 2 ^ 48
-- A log is merged if the limit is above MOST_EXACT, or if it would have more than MOST_UNITS entries.
local MOST_EXACT, MOST_UNITS = 512, 1024
-- An entry takes units for this part of the horizon, counted from its first unit.
local PARTS = 1024

local function foreign(key)
  error({ err = 'WRONGTYPE ' .. key .. ' holds a value that rateguard did not write' })
end

-- Sets the lifetime of a key that was just written. If that is forbidden, the key is deleted: it must not stay forever.
local function expire(key, milliseconds)
  local answer = try('PEXPIRE', key, milliseconds)
  if type(answer) == 'table' and answer.err then
    call('DEL', key)
    error(answer)
  end
end

-- A denial writes nothing, except that it restores a lifetime which somebody removed, or which a clock that stepped back made
-- too long. Otherwise the key would never expire.
local function mend_ttl(key, longest)
  local ttl = call('PTTL', key)
  if ttl == -1 or ttl > longest then call('PEXPIRE', key, longest) end
end

-- A lifetime of two windows, in milliseconds.
local function lifetime(window) return floor(2 * window / 1000) + 1000 end

-- Reads a quota from the arguments that begin at `arg`, and returns the place of the next argument too. The arguments: kind (a
-- capital in shadow mode), limit, window in microseconds; for a token bucket, also the times that one token and the whole
-- bucket take to fill, each as microseconds and a fraction in units of 1 / limit.
local function read_quota(arg)
  local kind, limit, window = ARGV[arg], tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
  local lower = kind:lower()
  local stretch_at = floor(NOW / window) * window
  local q = {
    kind = lower,
    shadow = kind ~= lower,
    limit = limit,
    window = window,
    window_text = ARGV[arg + 2],
    longest = lifetime(window),
    -- Time is divided into stretches of one window. The first charge in a stretch renews the lifetime of the key to two
    -- windows, so that it always has more than one left. This is the beginning of the current stretch.
    stretch_at = stretch_at,
    -- Room for what is added later: to grow a table costs more than to make it.
    exact = false,
    merged = false,
  }
  if lower == 'z' then
    q.stretch = format('%d', stretch_at)
    -- The scores that count.
    q.after = '(' .. format('%d', NOW - window)
    -- Expired members are removed once in this many units, so that the set has few more members than the limit, and stays
    -- compact.
    q.every = math.max(1, math.min(floor(limit / 4), COMPACT - limit))
  end
  if lower ~= 'b' then return q, arg + 3 end
  q.one = { tonumber(ARGV[arg + 3]), tonumber(ARGV[arg + 4]) }
  q.capacity = { tonumber(ARGV[arg + 5]), tonumber(ARGV[arg + 6]) }
  return q, arg + 7
end

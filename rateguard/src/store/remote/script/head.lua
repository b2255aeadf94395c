-- What both scripts begin with.

local call, try, floor, format, tonumber = redis.call, redis.pcall, math.floor, string.format, tonumber

-- Read once: until Redis 7.2 the time moves while a script runs.
local time = call('TIME')
local NOW = time[1] * 1000000 + time[2]
-- Lua prints 1.79e+15 where Redis wants all the digits. (`%d` takes what a long holds, and is quicker than `%.0f`.)
local NOW_TEXT = format('%d', NOW)

-- A sorted set's members are the time and three digits that go up by one with each unit and begin again after the
-- last. So the first and the last member that count tell how many count, and a unit takes the room of two integers.
-- Units of one moment are ordered by their digits, which must not begin again among them. After them all, at infinity,
-- stands the window under which they were charged; units of another window are kept in a log.
local FIRST, LAST = 100, 999
local NUMBERS = LAST - FIRST + 1
-- Redis keeps a sorted set compact up to one member more, and never again once it was larger.
local COMPACT = 127

-- A log is a string: one of these words; its horizon, which is the longest window that was charged under, until when that
-- counts (0: as long as the newest unit), and the longest window that is charged under since; how many units there had
-- been before its entries; and the entries, oldest first. An entry of an exact log is the time of one unit. One of a merged
-- log is a time, how much later it has taken its latest unit, and how many units there have been up to there. Totals
-- begin again at 2^48.
local EXACT, MERGED, HORIZON, TOTAL, STAMP, ENTRY = 'rg2e', 'rg2m', '>I6I7I6', '>I6', '>I7', '>I7I5I6'
local HEAD, STAMP_SIZE, ENTRY_SIZE, TOTALS = 29, 7, 18, 2 ^ 48
-- Above this limit a log is merged, and an exact log with more units than that.
local MOST_EXACT, MOST_UNITS = 512, 1024
-- An entry takes units for this part of the horizon from its first.
local PARTS = 1024

local function foreign(key)
  error({ err = 'WRONGTYPE ' .. key .. ' holds a value that rateguard did not write' })
end

-- Sets the lifetime of a key that was just written. Where that is forbidden, better no count than one without end.
local function expire(key, milliseconds)
  local answer = try('PEXPIRE', key, milliseconds)
  if type(answer) == 'table' and answer.err then
    call('DEL', key)
    error(answer)
  end
end

-- A refusal writes nothing, but a lifetime that was taken away, or stretched by a clock that stepped back, is mended:
-- else nobody ever would.
local function mend_ttl(key, longest)
  local ttl = call('PTTL', key)
  if ttl == -1 or ttl > longest then call('PEXPIRE', key, longest) end
end

-- The lifetime in milliseconds of what may need two windows.
local function lifetime(window) return floor(2 * window / 1000) + 1000 end

-- What is known of a quota. The next arguments after `arg` say it, and where they end is returned too: its kind (in
-- capitals if it only watches, so that its refusal is none), limit, window in microseconds, and for a token bucket the
-- time of one token and of all, each as microseconds and a fraction in units of one by the limit.
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
    -- Once in each stretch of one window is enough to keep a key for one more at least and two at most. This one's
    -- beginning.
    stretch_at = stretch_at,
  }
  if lower == 'z' then
    q.stretch = format('%d', stretch_at)
    -- What is later counts.
    q.after = '(' .. format('%d', NOW - window)
    -- What has expired goes every so many units: a set never holds much more than the limit, nor passes what is compact.
    q.every = math.max(1, math.min(floor(limit / 4), COMPACT - limit))
  end
  if lower ~= 'b' then return q, arg + 3 end
  q.one = { tonumber(ARGV[arg + 3]), tonumber(ARGV[arg + 4]) }
  q.capacity = { tonumber(ARGV[arg + 5]), tonumber(ARGV[arg + 6]) }
  return q, arg + 7
end

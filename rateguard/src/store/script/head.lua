-- What both scripts begin with.

local call, try, floor, format, tonumber = redis.call, redis.pcall, math.floor, string.format, tonumber

-- Read once: until Redis 7.2 the time moves while a script runs.
local time = call('TIME')
local NOW = time[1] * 1000000 + time[2]
-- Lua prints 1.79e+15 where Redis wants all the digits. (`%d` takes what a long holds, and is quicker than `%.0f`.)
local NOW_TEXT = format('%d', NOW)

-- A sorted set's members are the time and three digits that go up by one with each unit and begin again after the
-- last. So the first and the last member that count tell how many count, and a unit takes the room of two integers.
-- Units of one moment are ordered by their digits, which must not begin again among them.
local FIRST, LAST = 100, 999
local NUMBERS = LAST - FIRST + 1
-- Redis keeps a sorted set compact up to this many members, and never again once it was larger.
local COMPACT = 128
-- What a packed string begins with; then come eight bytes a unit.
local MAGIC, STAMP = 'rg1:', '>I8'

-- How a log is read and written as a whole, in any form. Only `whole.lua` can; without it the attempt is an error.
local whole

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

-- A refusal writes nothing, but a lifetime that was taken away, or stretched by a clock that stepped back or by a
-- window that was shortened, is mended: else nobody ever would.
local function mend_ttl(key, longest)
  local ttl = call('PTTL', key)
  if ttl == -1 or ttl > longest then call('PEXPIRE', key, longest) end
end

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
    -- Lifetimes in milliseconds: of what ends with a window, and of what may need two.
    window_ms = floor(window / 1000) + 1000,
    longest = floor(2 * window / 1000) + 1000,
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

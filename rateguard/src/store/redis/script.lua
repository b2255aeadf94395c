-- Does what any number of requests ask, in one call. Each request is a group of limits. To check it is to charge all
-- of them if all admit it, and else none. A group's error is its own.
--
-- KEYS  one for each limit, in order.
-- ARGV  for each group: what to do (check, peek, refund, reset), the number of its limits, and for each of them: kind
--       (in capitals if it only watches, so that its refusal is none), limit, window (microseconds), cost; to refund, the receipt (-1: none); for a token bucket four more: the cost in
--       time and the capacity in time, each as microseconds and fraction.
-- Reply the time, and for each group: an error as a string, or an array of four integers for each of its limits:
--       admitted (1 or 0), and three that say what was counted before the charge. For a log: units left, microseconds
--       until the first leaves, microseconds until the cost fits (-1: it does, or never will). For the others: the
--       state, from which the caller works out the rest.

local call, floor = redis.call, math.floor

-- Read once: until Redis 7.2 the time moves while a script runs.
local time = call('TIME')
local NOW = tonumber(time[1]) * 1000000 + tonumber(time[2])

-- Lua prints 1.79e+15 where Redis wants all the digits.
local function digits(x)
  return string.format('%.0f', x)
end
local NOW_TEXT = digits(NOW)

-- Lua's stack holds some thousand arguments.
local function call_in_parts(command, key, arguments)
  for from = 1, #arguments, 2000 do
    call(command, key, unpack(arguments, from, math.min(from + 1999, #arguments)))
  end
end

-- Sets the lifetime of a key that was just written. Where that is forbidden, better no count than one without end.
local function expire(key, milliseconds)
  local answer = redis.pcall('PEXPIRE', key, milliseconds)
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

-- The sliding window -------------------------------------------------------------------------------------------------
-- A log of when each unit was admitted, in one of three forms: a sorted set for small limits, a packed string for
-- middling ones, a list for large ones. The key is the same, so a limit that is changed across a border finds the
-- log in another form and brings it into its own.

local zset, packed, list = {}, {}, {}

-- How a sorted set's members are numbered, and how many it has at most; the list has no such bound.
local FIRST, LAST, MOST = 1000, 9999, 8000
-- Redis keeps a sorted set compact up to this many members, and never again once it was larger.
local COMPACT = 128
local MAGIC = 'rg1:'
local STAMP = '>I8'

local function foreign(key)
  error({ err = 'WRONGTYPE ' .. key .. ' holds a value that rateguard did not write' })
end

local function longest_ttl(window)
  return floor(2 * window / 1000) + 1000
end

-- A list's element: `at` for one unit, `at*units` for several.
local function parse(key, element)
  local at = tonumber(element)
  if at then return at, 1 end
  local stamp, units = element:match('^(%d+)%*(%d+)$')
  if not stamp then foreign(key) end
  return tonumber(stamp), tonumber(units)
end

-- When each unit was admitted, oldest first, from any form; as `at` and `units`. Nothing is later than now: a clock
-- that stepped back leaves units in the future, which count, but only from now on, so that nobody waits longer than a
-- window.
local function load(key, window)
  local form = call('TYPE', key).ok
  local at, units, n = {}, {}, 0
  local function add(stamp, count)
    if not stamp or not count then foreign(key) end
    if stamp > NOW then stamp = NOW end
    if stamp > NOW - window then
      n = n + 1
      at[n], units[n] = stamp, count
    end
  end
  if form == 'zset' then
    local all = call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for i = 2, #all, 2 do add(tonumber(all[i]), 1) end
  elseif form == 'string' then
    local s = call('GET', key)
    if s:sub(1, #MAGIC) ~= MAGIC or (#s - #MAGIC) % 8 ~= 0 then foreign(key) end
    for i = #MAGIC + 1, #s, 8 do add((struct.unpack(STAMP, s, i)), 1) end
  elseif form == 'list' then
    local all = call('LRANGE', key, 0, -1)
    if not tonumber(all[1]) then foreign(key) end
    for i = 2, #all do
      add(parse(key, all[i]))
    end
  elseif form ~= 'none' then
    foreign(key)
  end
  return at, units, n
end

-- One entry a unit, the newest of them if there are too many for the form: what was dropped is long past the limit.
local function singles(at, units, n)
  local newest = {}
  for i = n, 1, -1 do
    for _ = 1, units[i] do
      if #newest == MOST then break end
      newest[#newest + 1] = at[i]
    end
  end
  local ordered = {}
  for i = #newest, 1, -1 do ordered[#ordered + 1] = newest[i] end
  return ordered
end

-- Sorted set: the score is when a unit was admitted, the member a number that goes up by one with each unit. So the
-- first and the last member that count tell how many count. Four digits order as text as they do as numbers, and keep
-- a unit small; when they are used up, the set is numbered anew.

function zset.rewrite(key, window)
  local stamps = singles(load(key, window))
  call('DEL', key)
  if #stamps == 0 then return end
  local write = {}
  for i, stamp in ipairs(stamps) do
    write[2 * i - 1], write[2 * i] = digits(stamp), FIRST + i - 1
  end
  call_in_parts('ZADD', key, write)
  expire(key, longest_ttl(window))
end

local function zset_last(key)
  local last = redis.pcall('ZRANGE', key, -1, -1, 'WITHSCORES')
  if last.err then return 'other form' end
  if last[1] then return tonumber(last[1]), tonumber(last[2]) end
end

function zset.assess(key, c)
  local limit, window, cost = c.limit, c.window, c.cost
  local last, last_at = zset_last(key)
  if last == 'other form' or (last and last_at > NOW) then
    zset.rewrite(key, window)
    last, last_at = zset_last(key)
  end
  local used, first, first_at = 0, nil, nil
  if last then
    local oldest = call('ZRANGEBYSCORE', key, '(' .. digits(NOW - window), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if oldest[1] then
      first, first_at = tonumber(oldest[1]), tonumber(oldest[2])
      used = last - first + 1
    end
  end
  c.last, c.last_at, c.first = last, last_at, first
  c.available = limit > used and limit - used or 0
  c.idle = first_at and first_at + window - NOW or 0
  if cost <= c.available then return true end
  if cost <= limit then
    -- The unit with whose going the cost fits.
    local needed = used + cost - limit
    local at = first_at
    if needed > 1 then at = tonumber(call('ZSCORE', key, first + needed - 1)) end
    c.retry = at + window - NOW
  end
  return false
end

function zset.charge(key, c)
  local limit, window, cost, last = c.limit, c.window, c.cost, c.last
  local renew = true
  if not last then
    last = FIRST - 1
  elseif last + cost > LAST then
    zset.rewrite(key, window)
    last = zset_last(key) or FIRST - 1
  else
    -- Once in each stretch of one window is enough to keep a key for one more at least and two at most.
    renew = floor(NOW / window) ~= floor(c.last_at / window)
    -- What has expired goes every so often: the set never holds much more than the limit, nor passes what is compact.
    local every = math.max(1, math.min(floor(limit / 4), COMPACT - limit))
    if renew or floor((last + cost) / every) ~= floor(last / every) then
      -- Only if there is something to remove: a write here would let the next one past maxmemory.
      if tonumber(call('ZRANGE', key, 0, 0)[1]) ~= c.first then
        call('ZREMRANGEBYSCORE', key, '-inf', digits(NOW - window))
      end
    end
  end
  if cost == 1 then
    call('ZADD', key, NOW_TEXT, last + 1)
  else
    local write = {}
    for i = 1, cost do
      write[2 * i - 1], write[2 * i] = NOW_TEXT, last + i
    end
    call_in_parts('ZADD', key, write)
  end
  if renew then expire(key, longest_ttl(window)) end
end

-- Gives units back: the oldest, so that what is left never counts for a shorter time than what was really admitted.
function zset.refund(key, c)
  if not c.first then return end
  call('ZREMRANGEBYSCORE', key, '-inf', digits(NOW - c.window))
  call('ZREMRANGEBYRANK', key, 0, c.cost - 1)
end

function zset.refuse(key, c)
  if c.last then mend_ttl(key, longest_ttl(c.window)) end
end

-- Packed string: eight bytes a unit, read and written as a whole.

local function pack(stamps)
  local parts = { MAGIC }
  for i, stamp in ipairs(stamps) do parts[i + 1] = struct.pack(STAMP, stamp) end
  return table.concat(parts)
end

function packed.rewrite(key, window)
  local stamps = singles(load(key, window))
  if #stamps == 0 then
    call('DEL', key)
  else
    call('SET', key, pack(stamps), 'PX', longest_ttl(window))
  end
end

local function packed_get(key)
  local s = redis.pcall('GET', key)
  if s and (s.err or s:sub(1, #MAGIC) ~= MAGIC) then return 'other form' end
  return s
end

function packed.assess(key, c)
  local limit, window, cost = c.limit, c.window, c.cost
  local s = packed_get(key)
  if s and (s == 'other form' or #s < 12 or struct.unpack(STAMP, s, #s - 7) > NOW) then
    packed.rewrite(key, window)
    s = packed_get(key)
  end
  local used, first_at = 0, nil
  if s then
    -- The first that counts is between `low` (does not) and `high` (does).
    local all = (#s - #MAGIC) / 8
    local low, high, at = 0, all + 1, nil
    local probe = 1
    while high - low > 1 do
      at = struct.unpack(STAMP, s, 8 * probe + #MAGIC - 7)
      if at > NOW - window then high, first_at = probe, at else low = probe end
      -- Most often it is one of the first.
      probe = high > all and math.min(2 * probe, all) or floor((low + high) / 2)
    end
    used = all - high + 1
    c.live = s:sub(8 * high + #MAGIC - 7)
  end
  c.held = s
  c.available = limit > used and limit - used or 0
  c.idle = first_at and first_at + window - NOW or 0
  if cost <= c.available then return true end
  if cost <= limit then
    c.retry = struct.unpack(STAMP, c.live, 8 * (used + cost - limit) - 7) + window - NOW
  end
  return false
end

function packed.charge(key, c)
  local stamp = struct.pack(STAMP, NOW)
  if c.cost > 1 then stamp = stamp:rep(c.cost) end
  call('SET', key, MAGIC .. (c.live or '') .. stamp, 'PX', math.ceil(c.window / 1000) + 1000)
end

function packed.refund(key, c)
  if not c.live or c.live == '' then return end
  local rest = c.live:sub(8 * c.cost + 1)
  if rest == '' then
    call('DEL', key)
  else
    call('SET', key, MAGIC .. rest, 'PX', math.ceil(c.window / 1000) + 1000)
  end
end

function packed.refuse(key, c)
  if c.held then mend_ttl(key, longest_ttl(c.window)) end
end

-- List: an element a charge, `at` for one unit or `at*units` for several. Before them stands how many units there are
-- beyond the number of elements.

local function list_write(key, at, units, n, window)
  local write, beyond = { 0 }, 0
  for i = 1, n do
    write[i + 1] = digits(at[i])
    if units[i] > 1 then
      write[i + 1] = write[i + 1] .. '*' .. digits(units[i])
      beyond = beyond + units[i] - 1
    end
  end
  write[1] = digits(beyond)
  call('DEL', key)
  if n == 0 then return end
  call_in_parts('RPUSH', key, write)
  expire(key, longest_ttl(window))
end

function list.rewrite(key, window)
  local at, units, n = load(key, window)
  list_write(key, at, units, n, window)
end

local function list_last(key)
  local last = redis.pcall('LINDEX', key, -1)
  if not last then return nil end
  if last.err then return 'other form' end
  return (parse(key, last))
end

function list.assess(key, c)
  local limit, window, cost = c.limit, c.window, c.cost
  local last_at = list_last(key)
  if last_at and (last_at == 'other form' or last_at > NOW) then
    list.rewrite(key, window)
    last_at = list_last(key)
  end
  c.last_at, c.beyond, c.expired = last_at, 0, 0
  local used, first_at = 0, nil
  if last_at then
    local from, step = 0, 16
    local elements = call('LLEN', key)
    while not first_at and from < elements do
      local some = call('LRANGE', key, from, from + step - 1)
      for i, element in ipairs(some) do
        if from == 0 and i == 1 then
          c.head = tonumber(element) or foreign(key)
          c.beyond = c.head
        else
          local at, units = parse(key, element)
          if at > NOW - window then
            first_at = at
            break
          end
          c.expired = c.expired + 1
          c.beyond = c.beyond - (units - 1)
        end
      end
      from, step = from + step, math.min(2 * step, 1000)
    end
    used = elements - 1 - c.expired + c.beyond
  end
  c.available = limit > used and limit - used or 0
  c.idle = first_at and first_at + window - NOW or 0
  if cost <= c.available then return true end
  if cost <= limit then
    local needed, at = used + cost - limit, nil
    if c.beyond == 0 then
      at = parse(key, call('LINDEX', key, c.expired + needed))
    else
      local from = 1 + c.expired
      while needed > 0 do
        for _, element in ipairs(call('LRANGE', key, from, from + 99)) do
          local units
          at, units = parse(key, element)
          needed = needed - units
          if needed <= 0 then break end
        end
        from = from + 100
      end
    end
    c.retry = at + window - NOW
  end
  return false
end

function list.charge(key, c)
  local window, cost = c.window, c.cost
  local renew = not c.last_at or floor(NOW / window) ~= floor(c.last_at / window)
  local beyond = c.beyond + cost - 1
  local element = cost == 1 and NOW_TEXT or NOW_TEXT .. '*' .. digits(cost)
  if not c.last_at then
    call('RPUSH', key, digits(beyond), element)
  else
    call('RPUSH', key, element)
    if c.expired >= 8 or (renew and c.expired > 0) then
      -- The place of the last of them becomes the head.
      call('LPOP', key, c.expired)
      call('LSET', key, 0, digits(beyond))
    elseif cost > 1 then
      call('LSET', key, 0, digits(c.head + cost - 1))
    end
  end
  if renew then expire(key, longest_ttl(window)) end
end

function list.refund(key, c)
  local at, units, n = load(key, c.window)
  local cost, first = c.cost, 1
  while first <= n and cost >= units[first] do
    cost, first = cost - units[first], first + 1
  end
  if first <= n then
    units[first] = units[first] - cost
    if c.beyond == 0 then
      -- Without charges of several units the list itself can be cut.
      local gone = c.expired + first - 1
      if gone > 0 then
        call('LPOP', key, gone)
        call('LSET', key, 0, 0)
      end
      return
    end
  end
  local rest_at, rest_units = {}, {}
  for i = first, n do
    rest_at[#rest_at + 1], rest_units[#rest_units + 1] = at[i], units[i]
  end
  list_write(key, rest_at, rest_units, #rest_at, c.window)
end

function list.refuse(key, c)
  if c.last_at then mend_ttl(key, longest_ttl(c.window)) end
end

-- Counters -----------------------------------------------------------------------------------------------------------
-- A few numbers in a string, written as decimals.

-- The numbers under a key, or nothing if there is no key.
local function numbers(key, pattern)
  local text = call('GET', key)
  if not text then return end
  local a, b, c = text:match(pattern)
  if not a then foreign(key) end
  return tonumber(a), tonumber(b), tonumber(c)
end

local function put(key, microseconds, ...)
  local text = {}
  for i, number in ipairs({ ... }) do text[i] = digits(number) end
  call('SET', key, table.concat(text, ' '), 'PX', floor(microseconds / 1000) + 1000)
end

local fixed = {}

function fixed.assess(key, c)
  local start, used = numbers(key, '^(%d+) (%d+)$')
  c.held = start
  -- A clock that stepped back: the window begins anew, with what it holds.
  c.mend = start and start > NOW
  if c.mend then start = NOW end
  if not start or NOW - start >= c.window then start, used = NOW, 0 end
  c.start, c.used = start, used
  c.state = { used, NOW - start, 0 }
  return used + c.cost <= c.limit
end

function fixed.charge(key, c)
  put(key, c.start + c.window - NOW, c.start, c.used + c.cost)
end

function fixed.refund(key, c)
  if c.used == 0 or (c.receipt >= 0 and c.receipt < c.start) then return end
  local used = c.used - c.cost
  if used > 0 then
    put(key, c.start + c.window - NOW, c.start, used)
  else
    call('DEL', key)
  end
end

function fixed.refuse(key, c)
  if c.mend then
    put(key, c.window, c.start, c.used)
  elseif c.held then
    mend_ttl(key, floor(c.window / 1000) + 1000)
  end
end

local counter = {}

-- Whether a * b > c * d, for products that a double cannot hold: compared seven bits of `a` and `d` at a time.
-- `a` and `d` are below 2^35, `b` and `c` below 2^45.
local function product_above(a, b, c, d)
  if a * b < 2 ^ 53 and c * d < 2 ^ 53 then return a * b > c * d end
  local ahead = 0
  for shift = 28, 0, -7 do
    local unit = 2 ^ shift
    ahead = ahead * 128 + floor(a / unit) % 128 * b - floor(d / unit) % 128 * c
    -- What is still to come is less than 2^45 units of this place: beyond that, the matter is settled.
    if ahead >= 2 ^ 45 then return true end
    if ahead <= -2 ^ 45 then return false end
  end
  return ahead > 0
end

function counter.assess(key, c)
  local window = c.window
  local start, previous, current = numbers(key, '^(%d+) (%d+) (%d+)$')
  c.held = start
  if start then
    c.mend = start > NOW
    if c.mend then start = NOW end
    if NOW - start >= 2 * window then
      start = nil
    elseif NOW - start >= window then
      start, previous, current = start + window, current, 0
    end
  end
  if not start or (previous == 0 and current == 0) then start, previous, current = NOW, 0, 0 end
  c.start, c.previous, c.current = start, previous, current
  c.state = { previous, current, NOW - start }
  local room = c.limit - current - c.cost
  return room >= 0 and not product_above(previous, window - (NOW - start), window, room)
end

function counter.charge(key, c)
  put(key, c.start + 2 * c.window - NOW, c.start, c.previous, c.current + c.cost)
end

function counter.refund(key, c)
  local previous, current = c.previous, c.current
  if c.receipt < 0 then
    local more = c.cost - current
    current = math.max(0, current - c.cost)
    if more > 0 then previous = math.max(0, previous - more) end
  elseif c.receipt >= c.start then
    current = math.max(0, current - c.cost)
  elseif c.receipt >= c.start - c.window then
    previous = math.max(0, previous - c.cost)
  end
  if previous == c.previous and current == c.current then return end
  if previous == 0 and current == 0 then
    call('DEL', key)
  else
    put(key, c.start + 2 * c.window - NOW, c.start, previous, current)
  end
end

function counter.refuse(key, c)
  if c.mend then
    put(key, 2 * c.window, c.start, c.previous, c.current)
  elseif c.held then
    mend_ttl(key, longest_ttl(c.window))
  end
end

-- When the bucket is full again: microseconds, and a fraction of one in units of one by the limit.
local bucket = {}

function bucket.assess(key, c)
  local limit = c.limit
  local at, fraction, of = numbers(key, '^(%d+) (%d+) (%d+)$')
  c.held = at
  if not at then at, fraction, of = NOW, 0, limit end
  if of ~= limit then
    if fraction > 0 then at = at + 1 end
    fraction = 0
  end
  local debt = at - NOW
  if debt < 0 then debt, fraction = 0, 0 end
  -- What a clock that stepped back, or a quota that was lowered, leaves beyond an empty bucket is let go.
  c.mend = debt > c.capacity or (debt == c.capacity and fraction > c.capacity_fraction)
  if c.mend then
    debt, fraction = c.capacity, c.capacity_fraction
  end
  c.state = { debt, fraction, 0 }
  local needed, needed_fraction = debt + c.time, fraction + c.time_fraction
  if needed_fraction >= limit then needed, needed_fraction = needed + 1, needed_fraction - limit end
  c.needed, c.needed_fraction = needed, needed_fraction
  return needed < c.capacity or (needed == c.capacity and needed_fraction <= c.capacity_fraction)
end

function bucket.charge(key, c)
  put(key, c.needed, NOW + c.needed, c.needed_fraction, c.limit)
end

-- A charge takes time to come back, after those before it. What has come back already cannot be given back again; the
-- receipt is when all of it will have.
function bucket.refund(key, c)
  local debt, fraction = c.state[1], c.state[2]
  local time, time_fraction = c.time, c.time_fraction
  if c.receipt >= 0 and time > math.max(0, c.receipt - NOW) then
    time, time_fraction = math.max(0, c.receipt - NOW), 0
  end
  debt, fraction = debt - time, fraction - time_fraction
  if fraction < 0 then debt, fraction = debt - 1, fraction + c.limit end
  if debt < 0 or (debt == 0 and fraction == 0) then
    call('DEL', key)
  else
    put(key, debt, NOW + debt, fraction, c.limit)
  end
end

function bucket.refuse(key, c)
  if c.mend then
    put(key, c.capacity, NOW + c.capacity, c.capacity_fraction, c.limit)
  elseif c.held then
    mend_ttl(key, floor(c.capacity / 1000) + 1000)
  end
end

-- Groups -------------------------------------------------------------------------------------------------------------

local kinds = { z = zset, p = packed, l = list, f = fixed, c = counter, b = bucket }

-- What the caller is told of a limit: what was found before anything was done.
local function tell(answer, c)
  local n = #answer
  answer[n + 1] = c.admits and 1 or 0
  if c.state then
    answer[n + 2], answer[n + 3], answer[n + 4] = c.state[1], c.state[2], c.state[3]
  else
    answer[n + 2], answer[n + 3], answer[n + 4] = c.available, c.idle, c.retry
  end
end

local does = {}

function does.check(limits)
  local admitted = true
  for _, c in ipairs(limits) do
    c.admits = c.rule.assess(c.key, c)
    admitted = admitted and (c.admits or c.shadow)
  end
  local answer = {}
  for _, c in ipairs(limits) do
    if admitted and c.admits and c.cost > 0 then
      c.rule.charge(c.key, c)
    elseif not c.admits or c.mend then
      c.rule.refuse(c.key, c)
    end
    tell(answer, c)
  end
  return answer
end

function does.peek(limits)
  local answer = {}
  for _, c in ipairs(limits) do
    c.admits = c.rule.assess(c.key, c)
    tell(answer, c)
  end
  return answer
end

function does.refund(limits)
  for _, c in ipairs(limits) do
    c.rule.assess(c.key, c)
    -- A unit that has left its window is not there to be given back.
    local log = not c.state
    if c.cost > 0 and not (log and c.receipt >= 0 and NOW - c.receipt >= c.window) then c.rule.refund(c.key, c) end
  end
  return {}
end

function does.reset(limits)
  for _, c in ipairs(limits) do call('DEL', c.key) end
  return {}
end

local replies = { NOW }
local key, arg = 0, 1
while ARGV[arg] do
  local what, count = ARGV[arg], tonumber(ARGV[arg + 1])
  arg = arg + 2
  local limits = {}
  for i = 1, count do
    key = key + 1
    local kind = ARGV[arg]
    local c = {
      key = KEYS[key],
      rule = kinds[kind] or kinds[kind:lower()],
      shadow = not kinds[kind],
      limit = tonumber(ARGV[arg + 1]),
      window = tonumber(ARGV[arg + 2]),
      cost = tonumber(ARGV[arg + 3]),
      retry = -1,
    }
    arg = arg + 4
    if what == 'refund' then
      c.receipt = tonumber(ARGV[arg])
      arg = arg + 1
    end
    if c.rule == bucket then
      c.time, c.time_fraction = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1])
      c.capacity, c.capacity_fraction = tonumber(ARGV[arg + 2]), tonumber(ARGV[arg + 3])
      arg = arg + 4
    end
    limits[i] = c
  end
  local ok, answer = pcall(does[what], limits)
  if not ok then
    answer = type(answer) == 'table' and answer.err or tostring(answer)
  end
  replies[#replies + 1] = answer
end
return replies

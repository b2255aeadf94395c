-- Does what any number of requests ask, in one call. Each request is a group of limits. To check it is to charge all
-- of them if all admit it, and else none. A group's error is its own.
--
-- KEYS  one for each limit, in order.
-- ARGV  the number of different quotas, and for each: its kind (in capitals if it only watches, so that its refusal is
--       none), limit, window in microseconds, and for a token bucket the time of one token and of all, each as
--       microseconds and a fraction in units of one by the limit.
--       Then for each group either the number of a quota, to check one unit of it; or what to do (check, peek, refund,
--       reset), the number of its limits, and for each: the number of its quota, the cost, for a token bucket the time
--       of the cost, and to refund, the receipt (-1: none).
-- Reply the time; then for each group an error as a string, or (refund and reset) a 1, or four integers for each limit:
--       admitted (1 or 0), and three that say what was counted before the charge. For a log: units left, microseconds
--       until the first leaves, microseconds until the cost fits (-1: it does, or never will). For the others: the
--       state, from which the caller works out the rest.
--
-- Making a function costs as much as calling Redis once, and all of this runs with every call: so what a call does not
-- need is made by functions that it does not run.

local call, floor, format, tonumber = redis.call, math.floor, string.format, tonumber

-- Read once: until Redis 7.2 the time moves while a script runs.
local time = call('TIME')
local NOW = time[1] * 1000000 + time[2]
-- Lua prints 1.79e+15 where Redis wants all the digits. (`%d` takes what a long holds, and is quicker than `%.0f`.)
local NOW_TEXT = format('%d', NOW)

-- How a sorted set's members are numbered, and how many units it or a packed string takes over from another form.
local FIRST, LAST, MOST = 1000, 9999, 8000
-- Redis keeps a sorted set compact up to this many members, and never again once it was larger.
local COMPACT = 128
local MAGIC, STAMP = 'rg1:', '>I8'

local function foreign(key)
  error({ err = 'WRONGTYPE ' .. key .. ' holds a value that rateguard did not write' })
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

-- What is seldom needed: a log read as a whole, and written anew in any form.
local function make_whole()
  local whole = {}

  -- Lua's stack holds some thousand arguments.
  local function call_in_parts(command, key, arguments)
    for from = 1, #arguments, 2000 do
      call(command, key, unpack(arguments, from, math.min(from + 1999, #arguments)))
    end
  end

  -- A list's element: `at` for one unit, `at*units` for several.
  function whole.parse(key, element)
    local at = tonumber(element)
    if at then return at, 1 end
    local stamp, units = element:match('^(%d+)%*(%d+)$')
    if not stamp then foreign(key) end
    return tonumber(stamp), tonumber(units)
  end

  -- When each unit was admitted, oldest first, from any form; as `at` and `units`. Nothing is later than now: a clock
  -- that stepped back leaves units in the future, which count, but only from now on, so that nobody waits longer than
  -- a window.
  function whole.load(key, window)
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
        add(whole.parse(key, all[i]))
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

  function whole.to_sorted_set(key, q)
    local stamps = singles(whole.load(key, q.window))
    call('DEL', key)
    if #stamps == 0 then return end
    local write = {}
    for i, stamp in ipairs(stamps) do
      write[2 * i - 1], write[2 * i] = format('%d', stamp), FIRST + i - 1
    end
    call_in_parts('ZADD', key, write)
    expire(key, q.longest)
  end

  function whole.to_packed(key, q)
    local stamps = singles(whole.load(key, q.window))
    if #stamps == 0 then return call('DEL', key) end
    local parts = { MAGIC }
    for i, stamp in ipairs(stamps) do parts[i + 1] = struct.pack(STAMP, stamp) end
    call('SET', key, table.concat(parts), 'PX', q.longest)
  end

  function whole.write_list(key, at, units, n, q)
    local write, beyond = { 0 }, 0
    for i = 1, n do
      write[i + 1] = format('%d', at[i])
      if units[i] > 1 then
        write[i + 1] = write[i + 1] .. '*' .. format('%d', units[i])
        beyond = beyond + units[i] - 1
      end
    end
    write[1] = format('%d', beyond)
    call('DEL', key)
    if n == 0 then return end
    call_in_parts('RPUSH', key, write)
    expire(key, q.longest)
  end

  function whole.to_list(key, q)
    local at, units, n = whole.load(key, q.window)
    whole.write_list(key, at, units, n, q)
  end

  -- Several units of a sorted set at once.
  function whole.add_units(key, last, cost)
    local write = {}
    for i = 1, cost do
      write[2 * i - 1], write[2 * i] = NOW_TEXT, last + i
    end
    call_in_parts('ZADD', key, write)
  end

  return whole
end

local made_whole
local function whole()
  made_whole = made_whole or make_whole()
  return made_whole
end

-- A rule has: assess(key, q, cost, time) -> whether the cost fits, three numbers for the reply, three for the rule's
-- own later steps; charge(key, q, cost, …), refuse(key, q, …), refund(key, q, cost, time, receipt, …), which get those
-- three.

-- Sorted set: the score is when a unit was admitted, the member a number that goes up by one with each unit. So the
-- first and the last member that count tell how many count. Four digits order as text as they do as numbers, and keep
-- a unit small; when they are used up, the set is numbered anew.
local function make_sorted_set()
  local rule = {}

  local function newest(key)
    local last = redis.pcall('ZRANGE', key, -1, -1, 'WITHSCORES')
    if last.err then return 0, 2 ^ 53 end
    if last[1] then return tonumber(last[1]), tonumber(last[2]) end
  end

  function rule.assess(key, q, cost)
    local limit, window = q.limit, q.window
    local last, last_at = newest(key)
    -- Another form, or a clock that stepped back.
    if last and last_at > NOW then
      whole().to_sorted_set(key, q)
      last, last_at = newest(key)
    end
    local used, first, first_at, idle = 0, nil, nil, 0
    if last then
      local oldest = call('ZRANGEBYSCORE', key, q.after, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
      if oldest[1] then
        first, first_at = tonumber(oldest[1]), tonumber(oldest[2])
        used, idle = last - first + 1, first_at + window - NOW
      end
    end
    local available = limit > used and limit - used or 0
    if cost <= available then return true, available, idle, -1, last, last_at, first end
    if cost > limit then return false, available, idle, -1, last end
    -- The unit with whose going the cost fits.
    local needed = used + cost - limit
    if needed > 1 then first_at = tonumber(call('ZSCORE', key, first + needed - 1)) end
    return false, available, idle, first_at + window - NOW, last
  end

  function rule.charge(key, q, cost, last, last_at, first)
    local renew = true
    if not last then
      last = FIRST - 1
    elseif last + cost > LAST then
      whole().to_sorted_set(key, q)
      last = newest(key) or FIRST - 1
    else
      -- Once in each stretch of one window is enough to keep a key for one more at least and two at most.
      renew = floor(NOW / q.window) ~= floor(last_at / q.window)
      -- What has expired goes every so often: the set never holds much more than the limit, nor passes what is compact.
      if renew or floor((last + cost) / q.every) ~= floor(last / q.every) then
        -- Only if there is something to remove: a write here would let the next one past maxmemory.
        if tonumber(call('ZRANGE', key, 0, 0)[1]) ~= first then
          call('ZREMRANGEBYSCORE', key, '-inf', format('%d', NOW - q.window))
        end
      end
    end
    if cost == 1 then
      call('ZADD', key, NOW_TEXT, last + 1)
    else
      whole().add_units(key, last, cost)
    end
    if renew then expire(key, q.longest) end
  end

  function rule.refuse(key, q, last)
    if last then mend_ttl(key, q.longest) end
  end

  -- Gives units back: the oldest, so that what is left never counts for a shorter time than what was really admitted.
  function rule.refund(key, q, cost, _, receipt)
    if receipt >= 0 and NOW - receipt >= q.window then return end
    call('ZREMRANGEBYSCORE', key, '-inf', format('%d', NOW - q.window))
    call('ZREMRANGEBYRANK', key, 0, cost - 1)
  end

  return rule
end

-- Packed string: eight bytes a unit, read and written as a whole.
local function make_packed()
  local rule = {}

  local function get(key)
    local s = redis.pcall('GET', key)
    if s and (s.err or s:sub(1, #MAGIC) ~= MAGIC or #s < #MAGIC + 8) then return 'another form' end
    return s
  end

  function rule.assess(key, q, cost)
    local limit, window = q.limit, q.window
    local s = get(key)
    if s and (s == 'another form' or struct.unpack(STAMP, s, #s - 7) > NOW) then
      whole().to_packed(key, q)
      s = get(key)
    end
    local used, idle, live = 0, 0, ''
    if s then
      -- The first that counts is between `low` (does not) and `high` (does).
      local all = (#s - #MAGIC) / 8
      local low, high, at, first_at = 0, all + 1, nil, nil
      local probe = 1
      while high - low > 1 do
        at = struct.unpack(STAMP, s, 8 * probe + #MAGIC - 7)
        if at > NOW - window then high, first_at = probe, at else low = probe end
        -- Most often it is one of the first.
        probe = high > all and math.min(2 * probe, all) or floor((low + high) / 2)
      end
      used, live = all - high + 1, s:sub(8 * high + #MAGIC - 7)
      if first_at then idle = first_at + window - NOW end
    end
    local available = limit > used and limit - used or 0
    if cost <= available then return true, available, idle, -1, live end
    if cost > limit then return false, available, idle, -1, live end
    local leaves = struct.unpack(STAMP, live, 8 * (used + cost - limit) - 7)
    return false, available, idle, leaves + window - NOW, live
  end

  function rule.charge(key, q, cost, live)
    local stamp = struct.pack(STAMP, NOW)
    if cost > 1 then stamp = stamp:rep(cost) end
    call('SET', key, MAGIC .. live .. stamp, 'PX', q.window_ms)
  end

  function rule.refuse(key, q, live)
    if live ~= '' then mend_ttl(key, q.longest) end
  end

  function rule.refund(key, q, cost, _, receipt, live)
    if live == '' or (receipt >= 0 and NOW - receipt >= q.window) then return end
    local rest = live:sub(8 * cost + 1)
    if rest == '' then
      call('DEL', key)
    else
      call('SET', key, MAGIC .. rest, 'PX', q.window_ms)
    end
  end

  return rule
end

-- List: an element a charge. Before them stands how many units there are beyond the number of elements.
local function make_list()
  local rule = {}
  local parse = whole().parse

  local function newest(key)
    local last = redis.pcall('LINDEX', key, -1)
    if not last then return nil end
    if last.err then return 2 ^ 53 end
    return (parse(key, last))
  end

  function rule.assess(key, q, cost)
    local limit, window = q.limit, q.window
    local last_at = newest(key)
    -- Another form, or a clock that stepped back.
    if last_at and last_at > NOW then
      whole().to_list(key, q)
      last_at = newest(key)
    end
    local log = { last_at = last_at, head = 0, beyond = 0, expired = 0 }
    local used, idle, first_at = 0, 0, nil
    if last_at then
      local from, step = 0, 16
      local elements = call('LLEN', key)
      while not first_at and from < elements do
        for i, element in ipairs(call('LRANGE', key, from, from + step - 1)) do
          if from == 0 and i == 1 then
            log.head = tonumber(element) or foreign(key)
            log.beyond = log.head
          else
            local at, units = parse(key, element)
            if at > NOW - window then
              first_at = at
              break
            end
            log.expired = log.expired + 1
            log.beyond = log.beyond - (units - 1)
          end
        end
        from, step = from + step, math.min(2 * step, 1000)
      end
      used = elements - 1 - log.expired + log.beyond
      if first_at then idle = first_at + window - NOW end
    end
    local available = limit > used and limit - used or 0
    if cost <= available then return true, available, idle, -1, log end
    if cost > limit then return false, available, idle, -1, log end
    local needed, at = used + cost - limit, nil
    if log.beyond == 0 then
      at = parse(key, call('LINDEX', key, log.expired + needed))
    else
      local from = 1 + log.expired
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
    return false, available, idle, at + window - NOW, log
  end

  function rule.charge(key, q, cost, log)
    local renew = not log.last_at or floor(NOW / q.window) ~= floor(log.last_at / q.window)
    local element = cost == 1 and NOW_TEXT or NOW_TEXT .. '*' .. format('%d', cost)
    if not log.last_at then
      call('RPUSH', key, format('%d', cost - 1), element)
    else
      call('RPUSH', key, element)
      if log.expired >= 8 or (renew and log.expired > 0) then
        -- The place of the last of them becomes the head.
        call('LPOP', key, log.expired)
        call('LSET', key, 0, format('%d', log.beyond + cost - 1))
      elseif cost > 1 then
        call('LSET', key, 0, format('%d', log.head + cost - 1))
      end
    end
    if renew then expire(key, q.longest) end
  end

  function rule.refuse(key, q, log)
    if log.last_at then mend_ttl(key, q.longest) end
  end

  function rule.refund(key, q, cost, _, receipt, log)
    if receipt >= 0 and NOW - receipt >= q.window then return end
    local at, units, n = whole().load(key, q.window)
    local first = 1
    while first <= n and cost >= units[first] do
      cost, first = cost - units[first], first + 1
    end
    if first <= n and log.beyond == 0 then
      -- Without charges of several units the list itself can be cut.
      local gone = log.expired + first - 1
      if gone > 0 then
        call('LPOP', key, gone)
        call('LSET', key, 0, 0)
      end
      return
    end
    if first <= n then units[first] = units[first] - cost end
    local rest_at, rest_units = {}, {}
    for i = first, n do
      rest_at[#rest_at + 1], rest_units[#rest_units + 1] = at[i], units[i]
    end
    whole().write_list(key, rest_at, rest_units, #rest_at, q)
  end

  return rule
end

-- Counters -----------------------------------------------------------------------------------------------------------
-- A few numbers in a string, written as decimals.

local function make_counter_rule(kind)
  -- The numbers under a key, or nothing if there is no key.
  local function numbers(key, pattern)
    local text = call('GET', key)
    if not text then return end
    local a, b, c = text:match(pattern)
    if not a then foreign(key) end
    return tonumber(a), tonumber(b), tonumber(c)
  end

  local function put(key, microseconds, text)
    call('SET', key, text, 'PX', floor(microseconds / 1000) + 1000)
  end

  local function make_fixed_window()
    local rule = {}

    function rule.assess(key, q, cost)
      local start, used = numbers(key, '^(%d+) (%d+)$')
      local held = start and 'held'
      -- A clock that stepped back: the window begins anew, with what it holds.
      if start and start > NOW then start, held = NOW, 'mend' end
      if not start or NOW - start >= q.window then start, used = NOW, 0 end
      return used + cost <= q.limit, used, NOW - start, 0, start, used, held
    end

    function rule.charge(key, q, cost, start, used)
      put(key, start + q.window - NOW, format('%d %d', start, used + cost))
    end

    function rule.refuse(key, q, start, used, held)
      if held == 'mend' then
        put(key, q.window, format('%d %d', start, used))
      elseif held then
        mend_ttl(key, q.window_ms)
      end
    end

    function rule.refund(key, q, cost, _, receipt, start, used)
      if used == 0 or (receipt >= 0 and receipt < start) then return end
      if used > cost then
        put(key, start + q.window - NOW, format('%d %d', start, used - cost))
      else
        call('DEL', key)
      end
    end

    return rule
  end

  local function make_sliding_counter()
    local rule = {}

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

    local function store(key, q, start, previous, current)
      put(key, start + 2 * q.window - NOW, format('%d %d %d', start, previous, current))
    end

    function rule.assess(key, q, cost)
      local window = q.window
      local start, previous, current = numbers(key, '^(%d+) (%d+) (%d+)$')
      local held = start and 'held'
      if start then
        -- A clock that stepped back: the window begins anew, with what it holds.
        if start > NOW then start, held = NOW, 'mend' end
        if NOW - start >= 2 * window then
          start = nil
        elseif NOW - start >= window then
          start, previous, current = start + window, current, 0
        end
      end
      if not start or (previous == 0 and current == 0) then start, previous, current = NOW, 0, 0 end
      local room = q.limit - current - cost
      local admits = room >= 0 and not product_above(previous, window - (NOW - start), window, room)
      return admits, previous, current, NOW - start, start, { previous, current }, held
    end

    function rule.charge(key, q, cost, start, units)
      store(key, q, start, units[1], units[2] + cost)
    end

    function rule.refuse(key, q, start, units, held)
      if held == 'mend' then
        store(key, q, start, units[1], units[2])
      elseif held then
        mend_ttl(key, q.longest)
      end
    end

    function rule.refund(key, q, cost, _, receipt, start, units)
      local previous, current = units[1], units[2]
      if receipt < 0 then
        local more = cost - current
        current = math.max(0, current - cost)
        if more > 0 then previous = math.max(0, previous - more) end
      elseif receipt >= start then
        current = math.max(0, current - cost)
      elseif receipt >= start - q.window then
        previous = math.max(0, previous - cost)
      end
      if previous == 0 and current == 0 then
        call('DEL', key)
      elseif previous ~= units[1] or current ~= units[2] then
        store(key, q, start, previous, current)
      end
    end

    return rule
  end

  -- When the bucket is full again: microseconds, and a fraction of one in units of one by the limit. A `time` is a pair
  -- of them.
  local function make_token_bucket()
    local rule = {}

    local function store(key, q, debt, fraction)
      put(key, debt, format('%d %d %d', NOW + debt, fraction, q.limit))
    end

    function rule.assess(key, q, _, cost_time)
      local limit, capacity = q.limit, q.capacity
      local at, fraction, of = numbers(key, '^(%d+) (%d+) (%d+)$')
      local held = at and 'held'
      if not at then at, fraction, of = NOW, 0, limit end
      if of ~= limit then
        if fraction > 0 then at = at + 1 end
        fraction = 0
      end
      local debt = at - NOW
      if debt < 0 then debt, fraction = 0, 0 end
      -- What a clock that stepped back, or a quota that was lowered, leaves beyond an empty bucket is let go.
      if debt > capacity[1] or (debt == capacity[1] and fraction > capacity[2]) then
        debt, fraction, held = capacity[1], capacity[2], 'mend'
      end
      local needed, needed_fraction = debt + cost_time[1], fraction + cost_time[2]
      if needed_fraction >= limit then needed, needed_fraction = needed + 1, needed_fraction - limit end
      local admits = needed < capacity[1] or (needed == capacity[1] and needed_fraction <= capacity[2])
      return admits, debt, fraction, 0, needed, needed_fraction, held
    end

    function rule.charge(key, q, _, needed, needed_fraction)
      store(key, q, needed, needed_fraction)
    end

    function rule.refuse(key, q, _, _, held)
      if held == 'mend' then
        store(key, q, q.capacity[1], q.capacity[2])
      elseif held then
        mend_ttl(key, floor(q.capacity[1] / 1000) + 1000)
      end
    end

    -- A charge takes time to come back, after those before it. What has come back already cannot be given back again; the
    -- receipt is when all of it will have.
    function rule.refund(key, q, _, cost_time, receipt, debt, fraction)
      local back, back_fraction = cost_time[1], cost_time[2]
      if receipt >= 0 and back >= math.max(0, receipt - NOW) then
        back, back_fraction = math.max(0, receipt - NOW), 0
      end
      debt, fraction = debt - back, fraction - back_fraction
      if fraction < 0 then debt, fraction = debt - 1, fraction + q.limit end
      if debt < 0 or (debt == 0 and fraction == 0) then
        call('DEL', key)
      else
        store(key, q, debt, fraction)
      end
    end

    return rule
  end

  if kind == 'f' then return make_fixed_window() end
  if kind == 'c' then return make_sliding_counter() end
  return make_token_bucket()
end

-- The call -----------------------------------------------------------------------------------------------------------

local rules = {}
local arg = 1
-- The next argument, as a number.
local function take()
  arg = arg + 1
  return tonumber(ARGV[arg - 1])
end

local quotas = {}
for i = 1, take() do
  local kind = ARGV[arg]
  local lower = kind:lower()
  arg = arg + 1
  local limit, window = take(), take()
  local rule = rules[lower]
  if not rule then
    if lower == 'z' then
      rule = make_sorted_set()
    elseif lower == 'p' then
      rule = make_packed()
    elseif lower == 'l' then
      rule = make_list()
    else
      rule = make_counter_rule(lower)
    end
    rules[lower] = rule
  end
  local q = {
    rule = rule,
    shadow = kind ~= lower,
    limit = limit,
    window = window,
    -- Lifetimes in milliseconds: of what ends with a window, and of what may need two.
    window_ms = floor(window / 1000) + 1000,
    longest = floor(2 * window / 1000) + 1000,
    after = '(' .. format('%d', NOW - window),
    every = math.max(1, math.min(floor(limit / 4), COMPACT - limit)),
  }
  if lower == 'b' then
    q.one = { take(), take() }
    q.capacity = { take(), take() }
  end
  quotas[i] = q
end

local replies, n = { NOW }, 1
local function tell(admits, a, b, c)
  replies[n + 1], replies[n + 2], replies[n + 3], replies[n + 4] = admits and 1 or 0, a, b, c
  n = n + 4
end

local key = 0

-- One unit of one quota, as nearly always.
local function check_one(name, q)
  local rule = q.rule
  local admits, a, b, c, x, y, z = rule.assess(name, q, 1, q.one)
  if admits then
    rule.charge(name, q, 1, x, y, z)
  else
    rule.refuse(name, q, x, y, z)
  end
  tell(admits, a, b, c)
end

local function make_group()
  local does = {}

  local function assess(limits)
    local admitted = true
    for _, l in ipairs(limits) do
      l.found = { l.q.rule.assess(l.key, l.q, l.cost, l.time) }
      admitted = admitted and (l.found[1] or l.q.shadow)
    end
    return admitted
  end

  function does.check(limits)
    local admitted = assess(limits)
    for _, l in ipairs(limits) do
      local found, q = l.found, l.q
      if admitted and found[1] and l.cost > 0 then
        q.rule.charge(l.key, q, l.cost, found[5], found[6], found[7])
      elseif not found[1] or found[7] == 'mend' then
        q.rule.refuse(l.key, q, found[5], found[6], found[7])
      end
    end
  end

  does.peek = assess

  function does.refund(limits)
    for _, l in ipairs(limits) do
      -- What is there before anything is taken.
      local found = { l.q.rule.assess(l.key, l.q, 0, { 0, 0 }) }
      if l.cost > 0 then
        l.q.rule.refund(l.key, l.q, l.cost, l.time, l.receipt, found[5], found[6], found[7])
      end
    end
  end

  function does.reset(limits)
    for _, l in ipairs(limits) do call('DEL', l.key) end
  end

  return function(what)
    local limits = {}
    for i = 1, take() do
      key = key + 1
      local q = quotas[take()]
      local l = { key = KEYS[key], q = q, cost = take() }
      if q.one then l.time = { take(), take() } end
      if what == 'refund' then l.receipt = take() end
      limits[i] = l
    end
    local ok, failure = pcall(does[what], limits)
    if not ok then return false, failure end
    if not limits[1].found then
      -- Done, and nothing to tell.
      n = n + 1
      replies[n] = 1
      return true
    end
    for _, l in ipairs(limits) do
      tell(l.found[1], l.found[2], l.found[3], l.found[4])
    end
    return true
  end
end

local group
while ARGV[arg] do
  local what = ARGV[arg]
  local q = quotas[tonumber(what)]
  arg = arg + 1
  local ok, failure
  if q then
    key = key + 1
    ok, failure = pcall(check_one, KEYS[key], q)
  else
    group = group or make_group()
    ok, failure = group(what)
  end
  if not ok then
    n = n + 1
    replies[n] = type(failure) == 'table' and failure.err or tostring(failure)
  end
end
return replies

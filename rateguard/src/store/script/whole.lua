-- Does what any number of requests ask, in one call. Each request is a group of limits. To check it is to charge all
-- of them if all admit it, and else none. A group's error is its own. What nearly every request asks, `check.lua` does
-- for less.
--
-- KEYS  one for each limit, in order.
-- ARGV  the number of different quotas, and each of them (see `read_quota`). Then for each group: what to do (check,
--       peek, refund, reset), the number of its limits, and for each: the number of its quota, the cost, for a token
--       bucket the time of the cost, and to refund, the receipt (-1: none).
-- Reply the time; then for each group an error as a string, or (refund and reset) a 1, or four integers for each limit:
--       admitted (1 or 0), and three that say what was counted before the charge. For a log: units left, microseconds
--       until the first leaves, microseconds until the cost fits (-1: it does, or never will). For the others: the
--       state, from which the caller works out the rest.
--
-- Making a function costs as much as calling Redis once, and all of this runs with every call: so what a call does not
-- need is made by functions that it does not run.

-- How many units a sorted set or a packed string takes over from another form. A log that is longer, since the limit
-- was lowered, stays a list for as long as it is.
local MOST_NUMBERED, MOST_PACKED = floor(NUMBERS / 2), 8000

-- Rules by their kind, made when they are first needed.
local rule_of

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
        add(rule_of('l').parse(key, all[i]))
      end
    elseif form ~= 'none' then
      foreign(key)
    end
    return at, units, n
  end

  -- When each unit was admitted, one entry a unit; nothing if there are too many for the form.
  local function singles(key, q, most)
    local at, units, n = whole.load(key, q.window)
    local stamps = {}
    for i = 1, n do
      if #stamps + units[i] > most then return end
      for _ = 1, units[i] do
        stamps[#stamps + 1] = at[i]
      end
    end
    return stamps
  end

  -- Whether the log is a sorted set now, numbered anew.
  function whole.to_sorted_set(key, q)
    local stamps = singles(key, q, MOST_NUMBERED)
    if not stamps then return false end
    call('DEL', key)
    if #stamps == 0 then return true end
    local write = {}
    for i, stamp in ipairs(stamps) do
      local text = format('%d', stamp)
      write[2 * i - 1], write[2 * i] = text, text .. format('%d', FIRST + i - 1)
    end
    call_in_parts('ZADD', key, write)
    expire(key, q.longest)
    return true
  end

  -- Whether the log is a packed string now.
  function whole.to_packed(key, q)
    local stamps = singles(key, q, MOST_PACKED)
    if not stamps then return false end
    if #stamps == 0 then
      call('DEL', key)
      return true
    end
    local parts = { MAGIC }
    for i, stamp in ipairs(stamps) do parts[i + 1] = struct.pack(STAMP, stamp) end
    call('SET', key, table.concat(parts), 'PX', q.longest)
    return true
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
  function whole.add_units(key, number, cost)
    local write = {}
    for i = 1, cost do
      write[2 * i - 1], write[2 * i] = NOW_TEXT, NOW_TEXT .. format('%d', number + i)
    end
    call_in_parts('ZADD', key, write)
  end

  return whole
end

local made_whole
function whole()
  made_whole = made_whole or make_whole()
  return made_whole
end

-- A rule has: assess(key, q, cost, time) -> whether the cost fits, three numbers for the reply, three for the rule's
-- own later steps; charge(key, q, cost, …), refuse(key, q, …), refund(key, q, cost, time, receipt, …), which get those
-- three.

-- Sorted set: the score is when a unit was admitted, the member what `head.lua` says.
local function make_sorted_set()
  local rule = {}

  local function stamp_of(member) return tonumber(member:sub(1, -4)) end
  local function number_of(member) return tonumber(member:sub(-3)) end

  -- The newest member; another form counts as later than now, as does what is no member of ours.
  local function newest(key)
    local last = try('ZRANGE', key, -1, -1)
    if last.err then return '', 2 ^ 53 end
    last = last[1]
    if last then return last, last:find('^%d%d%d%d+$') and stamp_of(last) or foreign(key) end
  end

  function rule.assess(key, q, cost)
    local limit, window = q.limit, q.window
    local last, last_at = newest(key)
    -- Another form, or a clock that stepped back.
    if last and last_at > NOW then
      -- What is too long for a set is far beyond the limit as well, so nothing is charged.
      if not whole().to_sorted_set(key, q) then return rule_of('l').assess(key, q, cost) end
      last, last_at = newest(key)
    end
    local used, idle, first = 0, 0, nil
    if last then
      first = call('ZRANGEBYSCORE', key, q.after, '+inf', 'LIMIT', 0, 1)[1]
      if first then
        used = (number_of(last) - number_of(first)) % NUMBERS + 1
        idle = stamp_of(first) + window - NOW
      end
    end
    local available = limit > used and limit - used or 0
    if cost <= available then return true, available, idle, -1, last, last_at, first end
    if cost > limit then return false, available, idle, -1, last end
    -- The unit with whose going the cost fits.
    local needed = used + cost - limit
    local leaves = idle
    if needed > 1 then
      leaves = stamp_of(call('ZRANGEBYSCORE', key, q.after, '+inf', 'LIMIT', needed - 1, 1)[1]) + window - NOW
    end
    return false, available, idle, leaves, last
  end

  function rule.charge(key, q, cost, last, last_at, first)
    local number, renew = FIRST - 1, true
    if last then
      number = number_of(last)
      if number + cost > LAST then
        if number == LAST and last_at < NOW then
          number = FIRST - 1
        else
          whole().to_sorted_set(key, q)
          last = newest(key)
          number = last and number_of(last) or FIRST - 1
        end
      end
    end
    if last then
      renew = last < q.stretch
      if renew or floor((number + cost) / q.every) ~= floor(number / q.every) then
        -- Only if there is something to remove: a write here would let the next one past maxmemory.
        if call('ZRANGE', key, 0, 0)[1] ~= first then
          call('ZREMRANGEBYSCORE', key, '-inf', format('%d', NOW - q.window))
        end
      end
    end
    whole().add_units(key, number, cost)
    if renew then expire(key, q.longest) end
  end

  function rule.refuse(key, q, last)
    if last then mend_ttl(key, q.longest) end
  end

  -- Gives units back: the oldest, so that what is left never counts for a shorter time than what was really admitted.
  function rule.refund(key, q, cost, time, receipt, last)
    if type(last) == 'table' then return rule_of('l').refund(key, q, cost, time, receipt, last) end
    if receipt >= 0 and NOW - receipt >= q.window then return end
    call('ZREMRANGEBYSCORE', key, '-inf', format('%d', NOW - q.window))
    call('ZREMRANGEBYRANK', key, 0, cost - 1)
  end

  return rule
end

-- Packed string: eight bytes a unit, read as a whole.
local function make_packed()
  local rule = {}

  local function get(key)
    local s = try('GET', key)
    if s and (s.err or s:sub(1, #MAGIC) ~= MAGIC or #s < #MAGIC + 8) then return 'another form' end
    return s
  end

  function rule.assess(key, q, cost)
    local limit, window = q.limit, q.window
    local s = get(key)
    if s and (s == 'another form' or struct.unpack(STAMP, s, #s - 7) > NOW) then
      -- What is too long is far beyond the limit as well, so nothing is charged.
      if not whole().to_packed(key, q) then return rule_of('l').assess(key, q, cost) end
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

  -- Those that are appended meanwhile, by `check.lua`, may need the key for as long.
  local function put(key, q, units)
    call('SET', key, MAGIC .. units, 'PX', q.longest)
  end

  function rule.charge(key, q, cost, live)
    put(key, q, live .. struct.pack(STAMP, NOW):rep(cost))
  end

  function rule.refuse(key, q, live)
    if live ~= '' then mend_ttl(key, q.longest) end
  end

  function rule.refund(key, q, cost, time, receipt, live)
    if type(live) == 'table' then return rule_of('l').refund(key, q, cost, time, receipt, live) end
    if live == '' or (receipt >= 0 and NOW - receipt >= q.window) then return end
    local rest = live:sub(8 * cost + 1)
    if rest == '' then
      call('DEL', key)
    else
      put(key, q, rest)
    end
  end

  return rule
end

-- The call -----------------------------------------------------------------------------------------------------------

local rules = {}
function rule_of(kind)
  local rule = rules[kind]
  if not rule then
    if kind == 'z' then
      rule = make_sorted_set()
    elseif kind == 'p' then
      rule = make_packed()
    elseif kind == 'l' then
      rule = make_list()
    else
      rule = make_counter_rule(kind)
    end
    rules[kind] = rule
  end
  return rule
end

local arg = 2
-- The next argument, as a number.
local function take()
  arg = arg + 1
  return tonumber(ARGV[arg - 1])
end

local quotas = {}
for i = 1, tonumber(ARGV[1]) do
  quotas[i], arg = read_quota(arg)
  quotas[i].rule = rule_of(quotas[i].kind)
end

local replies, n = { NOW }, 1
local key = 0
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

while ARGV[arg] do
  local what = ARGV[arg]
  arg = arg + 1
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
  if not ok then
    n = n + 1
    replies[n] = type(failure) == 'table' and failure.err or tostring(failure)
  elseif limits[1].found then
    for _, l in ipairs(limits) do
      local found = l.found
      replies[n + 1], replies[n + 2], replies[n + 3], replies[n + 4] = found[1] and 1 or 0, found[2], found[3], found[4]
      n = n + 4
    end
  else
    -- Done, and nothing to tell.
    n = n + 1
    replies[n] = 1
  end
end
return replies

-- The log (`head.lua` describes its format). Here it is a table: whether it is `merged`, the `size` of an entry, `horizon`,
-- `ends` and `next_horizon`, and the `body`: the first total and the entries. After it is read it is brought to this moment.
-- It is only written as a whole.
local function make_log()
  local rule = {}
  local pack, read = struct.pack, struct.unpack
  -- Longer than any log of ours. A longer string, written by somebody else, is not read entry by entry.
  local LONGEST = HEAD + 4 * PARTS * ENTRY_SIZE

  local function entries(log) return (#log.body - 6) / log.size end

  -- The times of the first and the latest unit of an entry.
  local function entry(log, i)
    if not log.merged then
      local at = read(STAMP, log.body, STAMP_SIZE * i)
      return at, at
    end
    local first, later = read(ENTRY, log.body, ENTRY_SIZE * i - 11)
    return first, first + later
  end

  -- How many units there were up to and including this entry.
  local function total(log, i)
    if not log.merged then return i end
    return (read(TOTAL, log.body, ENTRY_SIZE * i + 1))
  end

  local function units(log, after, up_to) return (total(log, up_to) - total(log, after)) % TOTALS end

  -- The first entry for which `passed` is false.
  local function first(log, passed)
    local low, high = 0, entries(log) + 1
    while high - low > 1 do
      local middle = floor((low + high) / 2)
      if passed(middle) then low = middle else high = middle end
    end
    return high
  end

  -- The first entry with a unit later than `time`.
  local function later_than(log, time)
    return first(log, function(i)
      local _, latest = entry(log, i)
      return latest <= time
    end)
  end

  -- The place in the body where an entry begins.
  local function place(log, i) return 7 + log.size * (i - 1) end

  local function joins_last(log)
    local from, latest = entry(log, entries(log))
    if log.merged then return (NOW - from) * PARTS < log.horizon end
    return latest == NOW
  end

  -- Merges neighbours that one entry of this horizon can hold.
  local function merge(log)
    local parts, from, to, sum = { pack(TOTAL, total(log, 0)) }, nil, nil, nil
    for i = 1, entries(log) do
      local a, b = entry(log, i)
      if not from then
        from = a
      elseif (b - from) * PARTS >= log.horizon then
        parts[#parts + 1] = pack(ENTRY, from, to - from, sum)
        from = a
      end
      to, sum = b, total(log, i)
    end
    if from then parts[#parts + 1] = pack(ENTRY, from, to - from, sum) end
    log.merged, log.size, log.body = true, ENTRY_SIZE, table.concat(parts)
  end

  local function update(log)
    -- A clock that stepped back leaves units in the future. They were charged, so they count; but as charged now, so that no
    -- client waits longer than a window.
    local n = entries(log)
    local _, latest = entry(log, n)
    if latest > NOW then
      local ahead = later_than(log, NOW)
      local parts = { log.body:sub(1, place(log, ahead) - 1) }
      for i = ahead, n do
        local from = math.min(entry(log, i), NOW)
        parts[#parts + 1] = log.merged and pack(ENTRY, from, NOW - from, total(log, i)) or pack(STAMP, NOW)
      end
      log.body, log.mend = table.concat(parts), 'mend'
    end
    if log.ends > 0 and NOW >= log.ends then
      log.horizon, log.ends, log.next_horizon = log.next_horizon, 0, 0
    end
    log.ends = math.min(log.ends, NOW + log.horizon)
    local _, soonest = entry(log, 1)
    if soonest <= NOW - log.horizon then
      log.body = log.body:sub(place(log, later_than(log, NOW - log.horizon)) - 6)
    end
    return log
  end

  -- Makes a log of the members of a sorted set.
  function rule.of_set(key, all)
    local parts, window = { pack(TOTAL, 0) }, tonumber(all[#all - 1])
    if #all < 4 or all[#all] ~= 'inf' or not window then foreign(key) end
    for i = 2, #all - 2, 2 do
      local at = tonumber(all[i])
      if not at or at % 1 ~= 0 or at < 0 or at > 2 ^ 53 then foreign(key) end
      parts[#parts + 1] = pack(STAMP, at)
    end
    local body = table.concat(parts)
    return { merged = false, size = STAMP_SIZE, horizon = window, ends = 0, next_horizon = 0, body = body }
  end

  -- A set of ours has at most this many members; the last is the window.
  function rule.load_set(key) return rule.of_set(key, call('ZRANGE', key, 0, NUMBERS, 'WITHSCORES')) end

  local function load(key)
    local x = try('GET', key)
    if not x then return end
    if x.err then
      local all = try('ZRANGE', key, 0, NUMBERS, 'WITHSCORES')
      if all.err then foreign(key) end
      return rule.of_set(key, all)
    end
    local word = x:sub(1, #EXACT)
    local size = (word == EXACT and STAMP_SIZE) or (word == MERGED and ENTRY_SIZE)
    if not size or #x <= HEAD or #x > LONGEST or (#x - HEAD) % size ~= 0 then foreign(key) end
    local horizon, ends, next_horizon = read(HORIZON, x, #EXACT + 1)
    return {
      merged = word == MERGED, size = size, horizon = horizon, ends = ends, next_horizon = next_horizon,
      body = x:sub(HEAD - 5),
    }
  end

  local function write(key, log)
    local head = (log.merged and MERGED or EXACT) .. pack(HORIZON, log.horizon, log.ends, log.next_horizon)
    call('SET', key, head .. log.body, 'PX', lifetime(log.horizon))
  end

  -- `loaded` is the log, if it was read already.
  function rule.assess(key, q, cost, _, loaded)
    local log = loaded or load(key)
    local limit, window = q.limit, q.window
    if not log then return cost <= limit, limit, 0, -1 end
    update(log)
    local n, live = entries(log), window >= log.horizon and 1 or later_than(log, NOW - window)
    local function leaves(i)
      local _, latest = entry(log, i)
      return latest + window - NOW
    end
    local used, idle, retry = units(log, live - 1, n), 0, -1
    if live <= n then idle = leaves(live) end
    -- The oldest entry that counts takes the charge, and then leaves later.
    if live == n and joins_last(log) then idle = -idle end
    local available = math.max(0, limit - used)
    log.denied = cost > available
    if log.denied and cost <= limit then
      local gone = used + cost - limit
      retry = leaves(first(log, function(i) return i < live or units(log, live - 1, i) < gone end))
    end
    return not log.denied, available, idle, retry, log, nil, log.mend
  end

  -- Writes the first units of a key, in the form that suits the limit. If the key still exists, although nothing in it counts
  -- any more, it is overwritten, which only works with a string: while a slot moves, a deleted key cannot be written.
  local function begin(key, q, cost, exists)
    if q.kind == 'z' and not exists then
      local write = { 'inf', q.window_text }
      for i = 1, cost do
        write[2 * i + 1], write[2 * i + 2] = NOW_TEXT, NOW_TEXT .. FIRST + i - 1
      end
      call('ZADD', key, unpack(write))
      expire(key, q.longest)
      return
    end
    local log = { merged = q.limit > MOST_EXACT, horizon = q.window, ends = 0, next_horizon = 0 }
    log.body = pack(TOTAL, 0) .. (log.merged and pack(ENTRY, NOW, 0, cost) or pack(STAMP, NOW):rep(cost))
    write(key, log)
  end

  function rule.charge(key, q, cost, log)
    local n = log and entries(log) or 0
    if n == 0 then
      begin(key, q, cost, log)
      return
    end
    local window, longest, _, newest = q.window, log.horizon, entry(log, n)
    if window >= longest then
      log.horizon, log.ends, log.next_horizon = window, 0, 0
    elseif log.ends == 0 then
      log.ends, log.next_horizon = newest + longest, window
    else
      log.next_horizon = math.max(log.next_horizon, window)
    end
    local many = q.limit > MOST_EXACT or units(log, 0, n) + cost > MOST_UNITS
    if (many and not log.merged) or (log.merged and log.horizon > longest) then merge(log) end
    if not log.merged then
      log.body = log.body .. pack(STAMP, NOW):rep(cost)
    else
      n = entries(log)
      local sum, from = (total(log, n) + cost) % TOTALS, NOW
      if joins_last(log) then
        from = entry(log, n)
        log.body = log.body:sub(1, -ENTRY_SIZE - 1)
      end
      log.body = log.body .. pack(ENTRY, from, NOW - from, sum)
    end
    write(key, log)
  end

  -- If a longer window has denied, the units are kept for that window. Otherwise the cost would fit sooner than the client was
  -- told.
  function rule.deny(key, q, log)
    if not log then return end
    if log.denied and entries(log) > 0 then
      if q.window > log.horizon then
        log.horizon, log.ends, log.next_horizon, log.mend = q.window, 0, 0, 'mend'
        if log.merged then merge(log) end
      elseif log.ends > 0 and q.window > log.next_horizon then
        log.next_horizon, log.mend = q.window, 'mend'
      end
    end
    if log.mend then
      write(key, log)
    else
      mend_ttl(key, lifetime(log.horizon))
    end
  end

  -- Gives units back: from the entry that holds the units charged at that time (`at`). Without a time, the oldest units, so
  -- that those that stay count for at least as long as they should.
  function rule.refund(key, q, cost, at, log)
    local n = log and entries(log) or 0
    if n == 0 or at > NOW then return end
    local from, to = 1, n
    if at < 0 then
      if q.window < log.horizon then from = later_than(log, NOW - q.window) end
    else
      from = later_than(log, at - 1)
      if from > n or entry(log, from) > at then return end
      to = log.merged and from or later_than(log, at) - 1
    end
    local gone = math.min(cost, units(log, from - 1, to))
    if gone == 0 then return end
    if gone == units(log, 0, n) then
      call('DEL', key)
      return
    end
    if not log.merged then
      log.body = log.body:sub(1, place(log, from) - 1) .. log.body:sub(place(log, from + gone))
    else
      -- The first entry of which units are left.
      local rest = first(log, function(i) return i < from or units(log, from - 1, i) <= gone end)
      local function moved(i, by)
        local a, b = entry(log, i)
        return pack(ENTRY, a, b - a, (total(log, i) + by) % TOTALS)
      end
      local parts = {}
      -- The totals on one side of the gap are corrected: the side with fewer entries.
      if n - rest < from then
        parts[1] = log.body:sub(1, place(log, from) - 1)
        for i = rest, n do parts[#parts + 1] = moved(i, -gone) end
      else
        parts[1] = pack(TOTAL, (total(log, 0) + gone) % TOTALS)
        for i = 1, from - 1 do parts[#parts + 1] = moved(i, gone) end
        parts[#parts + 1] = log.body:sub(place(log, rest))
      end
      log.body = table.concat(parts)
    end
    write(key, log)
  end

  return rule
end

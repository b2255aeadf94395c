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

    -- How many of so many single units fit, and what to charge them with.
    function rule.most(q, units, _, _, _, start, used)
      return math.min(units, q.limit - used), start, used
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

    local function fits(q, cost, previous, current, elapsed)
      local room = q.limit - current - cost
      return room >= 0 and not product_above(previous, q.window - elapsed, q.window, room)
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
      local admits = fits(q, cost, previous, current, NOW - start)
      return admits, previous, current, NOW - start, start, { previous, current }, held
    end

    function rule.most(q, units, previous, current, elapsed, start, numbers)
      while units > 0 and not fits(q, units, previous, current, elapsed) do
        units = units - 1
      end
      return units, start, numbers
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

    -- Whether a bucket that misses so much has that time left, and what it misses then.
    local function fits(q, cost, cost_fraction, debt, fraction)
      local whole = floor((fraction + cost_fraction) / q.limit)
      local needed, needed_fraction = debt + cost + whole, fraction + cost_fraction - whole * q.limit
      local capacity = q.capacity
      return needed < capacity[1] or (needed == capacity[1] and needed_fraction <= capacity[2]), needed, needed_fraction
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
      local admits, needed, needed_fraction = fits(q, cost_time[1], cost_time[2], debt, fraction)
      return admits, debt, fraction, 0, needed, needed_fraction, held
    end

    function rule.most(q, units, debt, fraction)
      for n = units, 1, -1 do
        local admits, needed, needed_fraction = fits(q, n * q.one[1], n * q.one[2], debt, fraction)
        if admits then return n, needed, needed_fraction end
      end
      return 0
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

-- List: an element a charge. Before them stands how many units there are beyond the number of elements.
local function make_list()
  local rule = {}

  -- An element: `at` for one unit, `at*units` for several.
  local function parse(key, element)
    local at = tonumber(element)
    if at then return at, 1 end
    local stamp, units = element:match('^(%d+)%*(%d+)$')
    if not stamp then foreign(key) end
    return tonumber(stamp), tonumber(units)
  end
  rule.parse = parse

  local function newest(key)
    local last = try('LINDEX', key, '-1')
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
        local elements = call('LRANGE', key, from, from + 99)
        -- Its head says more than there is; looking for it would never end.
        if #elements == 0 then foreign(key) end
        for _, element in ipairs(elements) do
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

  -- Units that were taken one by one stay apart: then one can be given back without writing the list anew.
  function rule.charge(key, q, cost, log, _, _, one_by_one)
    local renew = not log.last_at or floor(NOW / q.window) ~= floor(log.last_at / q.window)
    local elements, beyond = { NOW_TEXT }, 0
    if one_by_one then
      for i = 2, cost do elements[i] = NOW_TEXT end
    elseif cost > 1 then
      elements[1], beyond = NOW_TEXT .. '*' .. format('%d', cost), cost - 1
    end
    if not log.last_at then
      call('RPUSH', key, format('%d', beyond), unpack(elements))
    else
      call('RPUSH', key, unpack(elements))
      if log.expired >= 8 or (renew and log.expired > 0) then
        -- The place of the last of them becomes the head.
        call('LPOP', key, log.expired)
        call('LSET', key, 0, format('%d', log.beyond + beyond))
      elseif beyond > 0 then
        call('LSET', key, 0, format('%d', log.head + beyond))
      end
    end
    if renew then expire(key, q.longest) end
  end

  -- How many of so many single units fit, and what to charge them with.
  function rule.most(q, units, available, _, _, log) return math.min(units, available), log end

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

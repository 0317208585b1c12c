-- A job's life on its owner's channel, and the owner's index of jobs. Used inside job.lua where one call may touch
-- both slots, and by owner_main.lua in Cluster.
local MAX_JOBS, MAX_ACTIVE = 500, 1000  -- per owner; the oldest go first

-- och: as for append, with jobs and active; `ended` takes the job off the list of the running ones.
local function tell_owner(och, ev, job_id, ended)
  local sent = find(och, ev)
  if sent then return sent end
  sent = append(och, ev)
  if ended then
    redis.call('ZREM', och.active, job_id)
  elseif ev.type ~= 'job.progress' then
    redis.call('ZADD', och.jobs, 'NX', now, job_id)
    redis.call('ZADD', och.active, 'NX', now, job_id)
    redis.call('ZREMRANGEBYRANK', och.jobs, 0, -MAX_JOBS - 1)
    redis.call('ZREMRANGEBYRANK', och.active, 0, -MAX_ACTIVE - 1)
    redis.call('EXPIRE', och.jobs, META_TTL_S)
    redis.call('EXPIRE', och.active, META_TTL_S)
  end
  return sent
end

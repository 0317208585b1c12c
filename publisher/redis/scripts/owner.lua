-- A job's life on its owner's channel, and the owner's index of jobs. Used inside job.lua where one call may touch
-- both slots, and by owner_main.lua in Cluster.
local MAX_JOBS, MAX_ACTIVE = 500, 1000  -- per owner; the oldest go first

-- och: as for append, with jobs and active; `ended` takes the job off the list of the running ones.
local function tell_owner(och, ev, job_id, ended)
  local sent = find(och, ev)
  if sent then return sent end
  sent = append(och, ev)
  if ended then
    sure('ZREM', och.active, job_id)
  elseif ev.type ~= 'job.progress' then
    sure('ZADD', och.jobs, 'NX', now, job_id)
    sure('ZADD', och.active, 'NX', now, job_id)
    call('ZREMRANGEBYRANK', och.jobs, 0, -MAX_JOBS - 1)
    call('ZREMRANGEBYRANK', och.active, 0, -MAX_ACTIVE - 1)
    call('EXPIRE', och.jobs, META_TTL_S)
    call('EXPIRE', och.active, META_TTL_S)
  end
  return sent
end

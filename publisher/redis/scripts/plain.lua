-- A plain event of a publisher's: found, refused or appended. ch.state is the key of a job's state, for its channel only.
local function plain(ch, ev, must_exist)
  local sent = find(ch, ev)
  if sent then return { 'ok', sent.epoch, sent.seq } end
  if ch.state then
    ch.status = ch.status or sure('HGET', ch.state, 'status')
    local status = ch.status
    if not status and must_exist == '1' then return { 'missing' } end
    if status == '"completed"' or status == '"failed"' or status == '"cancelled"' then
      return { 'finished', status }
    end
  end
  sent = append(ch, ev)
  return { 'ok', sent.epoch, sent.seq }
end

// Positions in channels, as the parts of a node's cursors tell them: `TAG.EPOCH.SEQ.MARK`, `TAG.0` before the first event.

/** Where a part stands; null while it is no position. */
export function position(part) {
  const [, epoch, seq, mark] = part.split(".");
  if (epoch === "0" && seq === undefined) return { epoch: "", seq: 0 };
  return mark !== undefined && !mark.endsWith("~") && /^[1-9][0-9]*$/.test(seq) ? { epoch, seq: Number(seq) } : null;
}

/** Whether who has `mine` lacks nothing up to `theirs`. */
export function covers(mine, theirs) {
  const [here, there] = [position(mine), position(theirs)];
  return here !== null && there !== null && here.seq >= there.seq && (here.epoch === there.epoch || there.seq === 0);
}

/** Of two positions of a channel keeps the earlier one; of two histories the first that was named (the node will reset it). */
export function lowest(parts, channel, part) {
  const [known, found] = [parts.has(channel) ? position(parts.get(channel)) : null, position(part)];
  if (!parts.has(channel)) parts.set(channel, part);
  else if (known && found && found.seq < known.seq && (found.epoch === known.epoch || found.seq === 0)) parts.set(channel, part);
}

/** Takes the cursors of one stream apart: `stream.open` names its channels in the order of the cursor's parts. */
export class Tags {
  #channels = new Map();

  learn(channels, id) {
    const parts = id.split(",");
    this.#channels = parts.length === channels?.length ? new Map(parts.map((part, i) => [part.split(".")[0], channels[i]])) : new Map();
  }

  /** Part by channel; empty where this is no cursor of a node. */
  split(id) {
    const found = new Map();
    for (const part of id.split(",")) {
      const channel = this.#channels.get(part.split(".")[0]);
      if (channel !== undefined) found.set(channel, part);
    }
    return found;
  }
}

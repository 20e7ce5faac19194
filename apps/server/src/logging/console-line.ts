import { type LogFields } from '../engine/platform/logger.js';

/** `2026-01-02T03:04:05.678Z  INFO  message  {"field":1}`, tab-separated as etcd's console format. */
export function consoleLine(
  wallMs: number,
  level: string,
  message: string,
  fields: LogFields | undefined,
): string {
  const time = new Date(wallMs).toISOString();
  const rest = fields === undefined || Object.keys(fields).length === 0 ? '' : `\t${JSON.stringify(fields)}`;
  return `${time}\t${level.toUpperCase()}\t${singleLine(message)}${rest}\n`;
}

/** Line ends and control characters in a message could forge lines of their own. */
function singleLine(message: string): string {
  return message.replace(/[\u0000-\u001f\u007f]/g, (character) => JSON.stringify(character).slice(1, -1));
}

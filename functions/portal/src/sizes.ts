// Sizes as the server writes them: decimal units.

const units = ['kB', 'MB', 'GB', 'TB', 'PB']

export function human(bytes: number): string {
  if (bytes < 1000) return bytes === 1 ? '1 byte' : `${bytes} bytes`
  let value = bytes
  let unit = -1
  while (value >= 1000 && unit + 1 < units.length) {
    value /= 1000
    unit += 1
  }
  return `${value < 10 ? (Math.floor(value * 10) / 10).toFixed(1) : Math.floor(value)} ${units[unit]}`
}

export function left(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds > 48 * 3600) return ''
  if (seconds < 60) return 'less than a minute left'
  const minutes = Math.round(seconds / 60)
  if (minutes < 90) return `about ${minutes} ${minutes === 1 ? 'minute' : 'minutes'} left`
  return `about ${Math.round(minutes / 60)} hours left`
}

// Times as the visitor's clock and language tell them. The server writes UTC, which who has no scripts reads.

const long = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

export function localTimes(root: ParentNode): void {
  for (const element of root.querySelectorAll<HTMLTimeElement>('time[datetime]')) {
    const at = new Date(element.dateTime)
    if (Number.isNaN(at.getTime())) continue
    element.title = element.textContent ?? ''
    element.textContent = long.format(at)
  }
}

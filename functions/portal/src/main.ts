// What scripts add to a page that works without them: times in the visitor's zone, and comfortable uploads.
import './style.css'
import { localTimes } from './times'
import { uploads } from './uploads'

document.documentElement.classList.add('scripted')
localTimes(document)
const place = document.querySelector<HTMLElement>('#upload')
if (place) uploads(place)

// one question at a time
document.addEventListener('toggle', (event) => {
  const opened = event.target
  if (!(opened instanceof HTMLDetailsElement) || !opened.open || !opened.classList.contains('delete')) return
  for (const other of document.querySelectorAll<HTMLDetailsElement>('details.delete[open]')) {
    if (other !== opened) other.open = false
  }
}, true)

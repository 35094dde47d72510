import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import { catchLinks } from './route.ts'
import { watchAttendance } from './session/attended.ts'
import { prepareTheme } from './theme.ts'
import './fonts.css'
import './console.css'

// Where there is a mouse, more fits on a page.
if (matchMedia('(pointer: fine)').matches) document.body.classList.add('ui5-content-density-compact')
prepareTheme()
watchAttendance()
catchLinks()
const root = document.getElementById('root')
if (root) createRoot(root).render(<App />)

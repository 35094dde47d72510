import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import { catchLinks } from './route.ts'
import { watchAttendance } from './session/attended.ts'
import { prepareTheme } from './theme.ts'
import './fonts.css'
import './console.css'

prepareTheme()
watchAttendance()
catchLinks()
const root = document.getElementById('root')
if (root) createRoot(root).render(<App />)

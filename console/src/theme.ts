import { registerThemePropertiesLoader } from '@ui5/webcomponents-base/dist/asset-registries/Themes.js'
import { setDefaultFontLoading } from '@ui5/webcomponents-base/dist/config/Fonts.js'
import { setTheme } from '@ui5/webcomponents-base/dist/config/Theme.js'

/** How the console looks; `auto` follows the machine, also where that asks for more contrast. */
export const looks = ['auto', 'light', 'dark'] as const
export type Look = (typeof looks)[number]

const key = 'isthmus-look'
/** Who lets the machine choose all colors wants borders, too: those themes draw with them what others do with shades. */
const contrastQuery = '(prefers-contrast: more), (forced-colors: active)'
const lightFiori = () =>
  import('@ui5/webcomponents-fiori/dist/generated/assets/themes/sap_horizon/parameters-bundle.css.json')

// The light theme comes with the components; of the others only these, since each is three more files.
const loaders = {
  sap_horizon_dark: {
    theming: () =>
      import('@ui5/webcomponents-theming/dist/generated/assets/themes/sap_horizon_dark/parameters-bundle.css.json'),
    components: () =>
      import('@ui5/webcomponents/dist/generated/assets/themes/sap_horizon_dark/parameters-bundle.css.json'),
    fiori: () =>
      import('@ui5/webcomponents-fiori/dist/generated/assets/themes/sap_horizon_dark/parameters-bundle.css.json'),
  },
  sap_horizon_hcb: {
    theming: () =>
      import('@ui5/webcomponents-theming/dist/generated/assets/themes/sap_horizon_hcb/parameters-bundle.css.json'),
    components: () =>
      import('@ui5/webcomponents/dist/generated/assets/themes/sap_horizon_hcb/parameters-bundle.css.json'),
    fiori: () =>
      import('@ui5/webcomponents-fiori/dist/generated/assets/themes/sap_horizon_hcb/parameters-bundle.css.json'),
  },
  sap_horizon_hcw: {
    theming: () =>
      import('@ui5/webcomponents-theming/dist/generated/assets/themes/sap_horizon_hcw/parameters-bundle.css.json'),
    components: () =>
      import('@ui5/webcomponents/dist/generated/assets/themes/sap_horizon_hcw/parameters-bundle.css.json'),
    fiori: () =>
      import('@ui5/webcomponents-fiori/dist/generated/assets/themes/sap_horizon_hcw/parameters-bundle.css.json'),
  },
}

/** Before anything is drawn: the fonts are our own files, and the theme is the one that was chosen. */
export function prepareTheme(): void {
  setDefaultFontLoading(false)
  // Its components come later, and their light theme is asked for now.
  registerThemePropertiesLoader(
    '@ui5/webcomponents-fiori',
    'sap_horizon',
    async () => (await lightFiori()).default,
    'host',
  )
  for (const [name, { theming, components, fiori }] of Object.entries(loaders)) {
    registerThemePropertiesLoader('@ui5/webcomponents-theming', name, async () => (await theming()).default)
    registerThemePropertiesLoader('@ui5/webcomponents', name, async () => (await components()).default, 'host')
    registerThemePropertiesLoader('@ui5/webcomponents-fiori', name, async () => (await fiori()).default, 'host')
  }
  for (const query of ['(prefers-color-scheme: dark)', contrastQuery]) {
    matchMedia(query).addEventListener('change', () => void showLook())
  }
  void showLook()
}

export function currentLook(): Look {
  const kept = localStorage.getItem(key)
  return looks.find(look => look === kept) ?? 'auto'
}

export async function chooseLook(look: Look): Promise<void> {
  localStorage.setItem(key, look)
  await showLook()
}

async function showLook(): Promise<void> {
  const look = currentLook()
  const isDark = look === 'dark' || (look === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches)
  const isContrast = matchMedia(contrastQuery).matches
  const theme = isContrast
    ? isDark
      ? 'sap_horizon_hcb'
      : 'sap_horizon_hcw'
    : isDark
      ? 'sap_horizon_dark'
      : 'sap_horizon'
  document.documentElement.style.colorScheme = isDark ? 'dark' : 'light'
  await setTheme(theme)
}

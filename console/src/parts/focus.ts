/** Gives the keyboard back to what had it; to the page, where that is gone or of no use any more. */
export function focusAgain(before: Element | null): void {
  const isUsable = before !== document.body && before?.isConnected === true && !before.hasAttribute('disabled')
  if (isUsable && before instanceof HTMLElement) before.focus()
  else document.getElementById('content')?.focus({ preventScroll: true })
}

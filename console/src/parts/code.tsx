/** Text as it is, in a frame of its own that scrolls where it is long. */
export function Code({ label, text }: { readonly label: string; readonly text: string }) {
  return (
    <figure className="code-frame">
      <figcaption className="only-heard">{label}</figcaption>
      <pre className="code">{text}</pre>
    </figure>
  )
}

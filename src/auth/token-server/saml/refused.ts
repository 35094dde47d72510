/** Why an assertion does not count; for the log. Its sender is told only that it does not. */
export class AssertionRefused extends Error {}

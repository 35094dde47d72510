import { defineErrors } from '../../kernel/error.ts'

export const alertErrors = defineErrors('ALERT', {
  UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'There is no alert {id}.',
    next: 'List the alerts with isthmus alert list.',
  },
  CHANNEL_UNKNOWN: {
    side: 'flow',
    retry: 'never',
    means: 'There is no alert channel {channel}.',
    next: 'Name it under alerts.channels in isthmus.yaml, or correct the name under alert in the flow document.',
  },
  NOT_SENT: {
    side: 'receiver',
    retry: 'soon',
    means: 'The alert could not be sent through channel {channel}: {text}',
    next: 'Check the channel under alerts.channels in isthmus.yaml; the hub tries again by itself.',
  },
  CHANNEL_SILENT: {
    side: 'hub',
    retry: 'never',
    means: 'Channel {channel} took no alert for {time}; alert {id} was not told through it.',
    next: 'Check the channel under alerts.channels in isthmus.yaml, and what the other side says in the log.',
  },
})

/**
 * Dovecot 2.3 (Debian 12) in the shape of Microsoft 365: XOAUTH2 and passwords, a shared mailbox that a delegate opens,
 * an application that opens any. Started by root; the mail belongs to an unprivileged user.
 */
export interface DovecotLayout {
  readonly folder: string
  readonly imapPort: number
  readonly imapsPort: number
  readonly owner: { readonly uid: number; readonly gid: number }
  /** How folders are called; without it with `/` between levels and nothing before. */
  readonly namespace?: { readonly prefix: string; readonly separator: string } | undefined
  /** Whose tokens are good; without one only passwords are. */
  readonly tokens?: { readonly issuer: string; readonly scope: string }
}

export function dovecotConfig(layout: DovecotLayout): string {
  const { folder, namespace = { prefix: '', separator: '/' } } = layout
  return `
base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/log
info_log_path = ${folder}/info.log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <${folder}/cert.pem
ssl_key = <${folder}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login${layout.tokens ? ' xoauth2 oauthbearer' : ''}
auth_verbose = yes
auth_cache_size = 0
# Refused log-ins are part of the tests; the usual seconds of penance are not.
auth_failure_delay = 0
mail_location = maildir:~
first_valid_uid = ${layout.owner.uid}
last_valid_uid = ${layout.owner.uid}
first_valid_gid = 0
mail_max_userip_connections = 100
default_vsz_limit = 1G
namespace inbox {
  inbox = yes
  prefix = ${namespace.prefix}
  separator = ${namespace.separator}
  mailbox Processed {
    auto = create
  }
  mailbox Error {
    auto = create
  }
}
${layout.tokens ? tokenPassdbs(folder) : ''}
passdb {
  driver = passwd-file
  mechanisms = plain login
  args = ${folder}/users
}
userdb {
  driver = passwd-file
  args = ${folder}/users
}
service imap-login {
  inet_listener imap {
    port = ${layout.imapPort}
  }
  inet_listener imaps {
    port = ${layout.imapsPort}
    ssl = yes
  }
  chroot =
  service_count = 0
  process_min_avail = 1
}
service anvil {
  chroot =
  # Another source of penance, about 15 seconds for each refused log-in.
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  client_limit = 2000
}
service stats {
  chroot =
}
service imap {
  process_min_avail = 1
  service_count = 100
}
`
}

/**
 * First the built-in check: tokens whose own \`upn\` is the mailbox. It refuses a delegate's and an application's token,
 * so its refusal only hands on to the second check, which asks the token server.
 */
function tokenPassdbs(folder: string): string {
  return `
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = ${folder}/oauth2.conf.ext
  result_failure = continue
  result_internalfail = continue
}
passdb {
  driver = lua
  mechanisms = xoauth2 oauthbearer
  args = file=${folder}/delegate.lua blocking=yes
}`
}

/** The built-in check looks keys up as files: \`keys/default/RS256/<kid>\`. */
export function oauth2Config(layout: Required<DovecotLayout>): string {
  return `
introspection_mode = local
local_validation_key_dict = fs:posix:prefix=${layout.folder}/keys/
issuers = ${layout.tokens.issuer}
username_attribute = upn
openid_configuration_url = ${layout.tokens.issuer}/.well-known/openid-configuration
scope = ${layout.tokens.scope}
`
}

/** Microsoft 365's rule for other people's mailboxes: full access of a delegate, or an application with its role. */
export function delegateScript(issuer: string, delegates: Readonly<Record<string, readonly string[]>>): string {
  const rows = Object.entries(delegates).map(
    ([mailbox, users]) => `  ["${mailbox}"] = { ${users.map(user => `["${user}"] = true`).join(', ')} },`,
  )
  return `
local full_access = {
${rows.join('\n')}
}
-- The mail server hands the token over as the password.
function auth_password_verify(request, token)
  local clean = string.gsub(token, "[^%w%.%-_]", "")
  local pipe = io.popen("curl -s -m 5 '${issuer}/check?token=" .. clean .. "'")
  local answer = pipe:read("*a")
  pipe:close()
  if not string.find(answer, '"active":true', 1, true) then
    return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH, "token not active"
  end
  if string.find(answer, '"IMAP.AccessAsApp"', 1, true) then
    return dovecot.auth.PASSDB_RESULT_OK, {}
  end
  local upn = string.match(answer, '"upn":"([^"]+)"')
  local allowed = full_access[request.user]
  if upn and (upn == request.user or (allowed and allowed[upn])) then
    return dovecot.auth.PASSDB_RESULT_OK, {}
  end
  return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH, "no full access"
end
function auth_passdb_lookup(request)
  return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, ""
end
`
}

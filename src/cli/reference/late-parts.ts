// Parts of the hub that are loaded when they are first needed. The reference speaks of their errors, too.
import '../../auth/certificate-errors.ts'
import '../../auth/token-server/token-errors.ts'
import '../../groupware/c4c-driver.ts'
import '../../groupware/ews-driver.ts'
import '../../groupware/graph-driver.ts'
import '../../groupware/organizations/open-groupware.ts'
import '../../protocols/ews/autodiscover.ts'
import '../../protocols/oauth/errors.ts'

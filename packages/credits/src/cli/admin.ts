import { type CommandDef, defineCommand } from 'citty'
import { printAccount, reasonArgs } from './accounts.ts'
import { command, databaseArgs } from './command.ts'
import { callFunction, userIdOf, withDatabase } from './database.ts'

function change(name: 'add' | 'remove', isAdmin: boolean, description: string, done: string) {
  return command({
    name,
    description,
    args: {
      ...databaseArgs,
      ...reasonArgs,
      user: { type: 'positional', description: 'UUID or e-mail address', required: true },
    },
    examples: [`admin ${name} ann@example.com`],
    async run(args, output) {
      return withDatabase(args['database-url'], async (client) => {
        const userId = await userIdOf(client, args.user, '<user>')
        const actor = args.actor === undefined ? null : await userIdOf(client, args.actor, '--actor')
        const values = [userId, isAdmin, actor, args.reason ?? null]
        const answer = await callFunction<object>(client, 'credits_set_admin', values)
        return printAccount(output, `User ${userId} ${done}.`, answer)
      })
    },
  })
}

const list = command({
  name: 'list',
  description: 'Users in credit_admins. An app that names its own function has admins that are not listed here',
  args: databaseArgs,
  examples: ['admin list'],
  async run(args, output) {
    const { rows } = await withDatabase(args['database-url'], (client) =>
      client.query<{ userId: string; email: string | null }>(
        `select admin.user_id as "userId", owner.email from public.credit_admins admin
         left join auth.users owner on owner.id = admin.user_id order by owner.email, admin.user_id`,
      ),
    )
    for (const { userId, email } of rows) output.say(`${userId}  ${email ?? ''}`)
    output.say(`${rows.length} admins`)
    output.answer(rows)
    return 0
  },
})

/** `credits admin` */
export const admin = defineCommand({
  meta: { name: 'admin', description: 'Users who may change margins and read reports' },
  subCommands: {
    add: change('add', true, 'Make a user an admin of the credits', 'is an admin'),
    remove: change('remove', false, 'Take the right of an admin away', 'is no admin in credit_admins'),
    list,
  } as unknown as Record<string, CommandDef>,
})

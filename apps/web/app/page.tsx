import { Badge, Card, Container, Group, SimpleGrid, Stack, Text, ThemeIcon, Title } from '@mantine/core'
import { IconArrowRight, IconPlayerStop, IconReceipt, IconShieldCheck } from '@tabler/icons-react'
import { LinkButton } from '@/components/link-button'
import { currentUser } from '@/lib/auth/session'

const POINTS = [
  {
    icon: IconReceipt,
    title: 'A price on every answer',
    text: 'Each answer shows what it cost and what is left, to the last digit. The history lists every change.',
  },
  {
    icon: IconShieldCheck,
    title: 'Reserved before, settled after',
    text: 'Credits are reserved before a model is called and only what was used is taken. The rest goes back.',
  },
  {
    icon: IconPlayerStop,
    title: 'Never more than you have',
    text: 'When credits run out you read it before anything is spent, and what is missing.',
  },
]

export default async function LandingPage() {
  const user = await currentUser().catch(() => null)
  return (
    <Container size="lg" py={{ base: 48, sm: 96 }}>
      <Stack align="center" gap="lg" ta="center">
        <Badge variant="light" size="lg" tt="none">
          Free credits to start with
        </Badge>
        <Title order={1} fz={{ base: 34, sm: 52 }} maw={760} lh={1.1}>
          One balance for every model
        </Title>
        <Text size="lg" c="dimmed" maw={600}>
          Chat with the model that suits the question. You pay for what it used, in credits, and see it at once.
        </Text>
        <Group mt="sm" justify="center">
          <LinkButton
            href={user ? '/chat' : '/sign-up'}
            size="md"
            rightSection={<IconArrowRight size={18} aria-hidden />}
          >
            {user ? 'Open the chat' : 'Start for free'}
          </LinkButton>
          <LinkButton href="/upgrade" size="md" variant="default">
            See the plans
          </LinkButton>
        </Group>
      </Stack>
      <SimpleGrid cols={{ base: 1, sm: 3 }} mt={{ base: 48, sm: 96 }} spacing="lg">
        {POINTS.map(({ icon: Icon, title, text }) => (
          <Card key={title} withBorder padding="lg">
            <ThemeIcon variant="light" size={40}>
              <Icon size={22} aria-hidden />
            </ThemeIcon>
            <Title order={2} fz="lg" mt="md">
              {title}
            </Title>
            <Text c="dimmed" mt={6}>
              {text}
            </Text>
          </Card>
        ))}
      </SimpleGrid>
    </Container>
  )
}

select 'crm' as name, 443 as port
